import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import fastestdet_head, load_space, narrow, read_architecture

SPACE = fastestdet_head()


@pytest.mark.parametrize(
    ("setting", "name", "values"),
    [
        ("channels=24..64:8", "channels", (24, 32, 40, 48, 56, 64)),
        ("channels=24..64:16", "channels", (24, 40, 56)),
        ("img_width=221..230", "img_width", (224, 228)),
        ("kernel_size=3", "kernel_size", (3,)),
        ("groups=4,1", "groups", (1, 4)),
    ],
)
def test_a_range_or_a_list_narrows_a_parameter(setting: str, name: str, values: tuple[int, ...]) -> None:
    """The others, the baseline and the encoding stay."""
    narrowed = narrow(SPACE, setting.split(","))
    assert narrowed.parameters[name].values == values
    assert narrowed.size == SPACE.size * len(values) // len(SPACE.parameters[name].values)
    assert narrowed.baseline == SPACE.baseline
    assert narrowed.encode(SPACE.baseline) == SPACE.encode(SPACE.baseline)


def test_a_width_beyond_the_default_ones_may_be_asked_for() -> None:
    """Such as the published detector's own, 352; the default space does not have it."""
    widened = narrow(SPACE, ["img_width=320..352:16"])
    assert widened.parameters["img_width"].values == (320, 336, 352)
    assert widened.offers({**SPACE.baseline, "img_width": 352})
    assert not SPACE.offers({**SPACE.baseline, "img_width": 352})
    assert widened.input_size({**SPACE.baseline, "img_width": 352}) == (352, 352)


def test_words_are_narrowed_and_keep_their_columns() -> None:
    """One-hot columns are those of the full space."""
    space = load_space("multi-branch")
    narrowed = narrow(space, ["branch3=none", "k5d3", "fusion=sum"])
    assert narrowed.parameters["branch3"].values == ("none", "k5d3")
    assert not narrowed.offers(space.baseline)
    assert narrowed.encode(space.baseline) == space.encode(space.baseline)
    assert "branch3: none, k5d3; fusion: sum" in narrowed.describe()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["chanels=24"], r"no parameter 'chanels': did you mean channels\?"),
        (["channels=25"], r"channels=25 is not in the space: choose among 24\.\.96 step 8"),
        (["channels=24..64:10"], r"channels=34 is not in the space"),
        (["channels=64..24:8"], r"The range space\.channels=64\.\.24:8 is empty: write FIRST\.\.LAST:STEP"),
        (["channels=24..64:0"], r"is empty"),
        (
            ["channels=25..31"],
            r"The range space\.channels=25\.\.31 holds no value: channels is one of",
        ),
        (["groups"], r"The choice 'groups' names no parameter: write NAME=VALUES"),
        (["groups=1", "groups=2"], r"space\.groups is given twice"),
        (["groups="], r"groups= is not in the space: choose among 1, 2, 4, 8"),
    ],
)
def test_what_can_not_be_chosen_is_refused(settings: list[str], sentence: str) -> None:
    """The error names value, bound and remedy."""
    with pytest.raises(ConfigError, match=sentence):
        narrow(SPACE, settings)


def test_an_architecture_is_read_from_words_or_from_a_key() -> None:
    """What words leave out is the baseline's."""
    assert read_architecture(SPACE, "channels=48, groups=2") == {
        **SPACE.baseline,
        "channels": 48,
        "groups": 2,
    }
    assert SPACE.key(read_architecture(SPACE, "k3-g2-c48-w256")) == "k3-g2-c48-w256"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "k3-g2-c48",
            r"'k3-g2-c48' is no architecture of the space fastestdet-head: write .* k5-g1-c96-w320",
        ),
        ("g2-k3-c48-w256", "is no architecture"),
        ("k3-g2-c49-w256", "is no architecture"),
        ("channels=49", r"channels=49 is not in the space: choose among 24\.\.96 step 8"),
        ("channel=48", r"no parameter 'channel': did you mean channels\?"),
    ],
)
def test_what_is_no_architecture_is_refused(text: str, sentence: str) -> None:
    """With the way to write one."""
    with pytest.raises(ConfigError, match=sentence):
        read_architecture(SPACE, text)

from pathlib import Path

import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import Parameter, SearchSpace, build_detector, fastestdet_head, load_space

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """The space that CONTRIBUTING.md shows, as a file."""
    text = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    file = tmp_path / "bottleneck.py"
    file.write_text(text.partition("```python\n")[2].partition("```")[0], encoding="utf-8")
    return file


def test_the_contributors_guide_shows_a_space_of_under_60_lines_that_works(
    shown: Path, fastestdet_weights: Path
) -> None:
    """Its very text is run: every corner is built, the baseline gets the weights of equal names."""
    from mlflow_nas.space import load_seed_weights

    assert len(shown.read_text().splitlines()) < 60
    space = load_space(f"{shown}:SPACE")
    weights = load_seed_weights(fastestdet_weights)
    network = build_detector(space.baseline, space=space, num_classes=1, weights=weights)
    same = [n for n, v in network.state_dict().items() if n in weights.state and v.equal(weights.state[n])]
    assert any(name.startswith("neck.reduce.") for name in same)
    for name, parameter in space.parameters.items():
        for value in parameter.values:
            build_detector({**space.baseline, name: value}, space=space, num_classes=2)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("chian", r"There is no space 'chian': choose one of fastestdet-head, chain, multi-branch, cell, or"),
        ("absent.py:SPACE", r"The file absent\.py of the search space does not exist"),
        ("broken.py:SPACE", r"The file broken\.py of the search space can't be run: NameError"),
        (
            "empty.py:SPACE",
            r"empty\.py holds no search space SPACE: define it as a mlflow_nas\.space\.SearchSpace",
        ),
        ("empty.py", r"There is no space 'empty\.py'"),
        ("leaves.py:SPACE", r"leaves\.py of the search space can't be run: SystemExit"),
        ("leaves_later.py:SPACE", r"leaves_later\.py: the search space SPACE can't be made: SystemExit"),
    ],
)
def test_what_is_no_space_is_refused(
    name: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to give instead."""
    monkeypatch.chdir(tmp_path)
    Path("broken.py").write_text("SPACE = undefined\n")
    Path("leaves.py").write_text("import sys\nsys.exit(0)\n")
    Path("leaves_later.py").write_text("import sys\ndef SPACE():\n    sys.exit(0)\n")
    Path("empty.py").write_text("SPACE = 3\n")
    with pytest.raises(ConfigError, match=sentence):
        load_space(name)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            {"a": Parameter(short="a", values=(2, 1))},
            r"a of the space mine can't be used: its values .* ascend",
        ),
        ({"a": Parameter(short="a", values=(1, 1))}, "are none, or hold one twice"),
        ({"a": Parameter(short="a", values=(1, "two"))}, "not all whole numbers or all words"),
        ({"a": Parameter(short="a", values=("3x3", "none"))}, "'3x3' is not a word"),
        ({"a": Parameter(short="a1", values=(1, 2))}, "ends in a digit, before the value"),
        ({"a": Parameter(short="-", values=(1, 2))}, "is not a word of letters and digits"),
        (
            {"a": Parameter(short="a", values=(1, 2)), "b": Parameter(short="a", values=(1, 2))},
            "is that of another one, too",
        ),
        ({"b": Parameter(short="b", values=(1, 2))}, "The space mine has no parameter 'a'"),
    ],
)
def test_a_space_that_can_not_be_used_is_refused(parameters: dict[str, Parameter], sentence: str) -> None:
    """When it is made, not in the middle of a night."""
    with pytest.raises(ConfigError, match=sentence):
        SearchSpace(name="mine", parameters=parameters, baseline={"a": 1}, build=fastestdet_head().build)

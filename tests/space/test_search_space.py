import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import fastestdet_head

SPACE = fastestdet_head()


def test_the_head_space_has_2080_architectures() -> None:
    """2 kernels x 4 groups x 10 channels x 26 widths."""
    assert SPACE.size == 2080


def test_a_key_names_the_choices_in_the_spaces_order() -> None:
    """The key does not depend on the order of the mapping."""
    shuffled = {"img_width": 256, "channels": 48, "groups": 2, "kernel_size": 3}
    assert SPACE.key(shuffled) == "k3-g2-c48-w256"


def test_encoding_is_one_number_per_parameter() -> None:
    """Kernel 5 is 1, groups are logarithms to base 2."""
    encoded = SPACE.encode({"kernel_size": 5, "groups": 8, "channels": 96, "img_width": 320})
    assert encoded[:2] == (1.0, 3.0)
    assert len(encoded) == 4


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kernel_size": 4}, r"kernel_size=4 is not in the space fastestdet-head: choose one of 3, 5"),
        ({"channels": 25}, r"channels=25 is not .*: choose one of 24\.\.96 step 8"),
        ({"img_width": 322}, r"img_width=322 is not .*: choose one of 128\.\.512 step 4"),
        ({"groups": True}, r"groups=True is not"),
        ({"kernel_sise": 3}, r"no parameter 'kernel_sise': did you mean kernel_size\?"),
    ],
)
def test_a_value_outside_the_space_is_refused(change: dict[str, object], sentence: str) -> None:
    """The error names the value, the bound and the remedy."""
    with pytest.raises(ConfigError, match=sentence):
        SPACE.validate({**SPACE.baseline, **change})


def test_a_missing_parameter_is_named() -> None:
    """An architecture must be complete."""
    with pytest.raises(ConfigError, match="lacks channels, img_width"):
        SPACE.validate({"kernel_size": 3, "groups": 1})

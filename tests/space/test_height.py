"""The input's height as a choice of a space."""

import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import SPACES, fastestdet_head, load_space, open_space, read_architecture, with_height


def test_a_choice_of_the_height_adds_the_parameter() -> None:
    """The size counts it; without such a choice the space and its keys are as they were."""
    space = open_space("fastestdet-head", ("img_height=192..320:64", "groups=1"))
    assert space.parameters["img_height"].values == (192, 256, 320)
    assert space.size == 2 * 1 * 10 * 26 * 3
    assert space.key(space.baseline) == "k5-g1-c96-w320-ht320"
    plain = open_space("fastestdet-head", ("groups=1",))
    assert "img_height" not in plain.parameters
    assert plain.key(plain.baseline) == "k5-g1-c96-w320"


@pytest.mark.parametrize("name", SPACES)
def test_every_space_takes_a_height(name: str) -> None:
    """The input has that height and keeps its width; a key is read back."""
    space = with_height(load_space(name), aspect=4 / 3)
    assert space.input_size(space.baseline, 4 / 3) == (240, 320)
    low = {**space.baseline, "img_height": 180}
    assert space.input_size(low, 4 / 3) == (180, 320)
    assert read_architecture(space, space.key(low)) == low
    assert with_height(space) is space


@pytest.mark.parametrize("text", ["img_height=240", "k5-g1-c96-w320-ht240"])
def test_an_architecture_with_a_height_needs_no_choice(text: str) -> None:
    """Written by name, or as the key that a run has."""
    space = open_space("fastestdet-head", arch=text)
    assert space.input_size(read_architecture(space, text)) == (240, 320)
    assert open_space("fastestdet-head", arch="channels=24").parameters.keys() == (
        fastestdet_head().parameters.keys()
    )


def test_a_height_that_is_no_multiple_of_four_is_refused() -> None:
    """The sentence names the legal ones."""
    with pytest.raises(ConfigError, match=r"img_height=241 .*choose among 32\.\.1024 step 4"):
        open_space("fastestdet-head", ("img_height=241",))

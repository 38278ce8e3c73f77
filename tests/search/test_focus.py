"""Parameters that act on the bottleneck."""

import pytest

from mlflow_nas.search import focus, most_covering
from mlflow_nas.space import SPACES, load_space

TIMES_MS = {
    "": 1.0,
    "backbone.stage2.0.branch2": 4.0,
    "backbone.stage20": 1.0,
    "neck": 0.5,
    "neck.chains.2.0": 2.5,
    "head.box.3": 1.0,
}


def test_a_parameter_is_free_when_its_modules_take_the_time() -> None:
    """Stage 2 takes 40 %; the others keep the baseline's values; the input's width acts on everything."""
    found = focus(load_space("chain"), TIMES_MS, min_share=0.1)
    shares = {one.name: one.share for one in found.parameters}
    assert shares["stage2_depth"] == pytest.approx(0.4), "stage20 is another module"
    assert shares["img_width"] == 1.0
    assert [one.name for one in found.parameters if one.free] == [
        *("stage2_depth", "stage2_width", "stage2_kernel"),
        "img_width",
    ]
    assert found.settings[:3] == ("stage3_depth=8", "stage3_width=48", "stage3_kernel=3")


def test_the_size_is_that_of_the_free_choices() -> None:
    """Three depths, three widths, two kernels and 26 widths of the image."""
    found = focus(load_space("chain"), TIMES_MS, min_share=0.1)
    assert (found.focused_size, found.size) == (3 * 3 * 2 * 26, 252_720)
    assert focus(load_space("chain"), TIMES_MS, min_share=0.0).focused_size == 252_720


def test_what_acts_on_everything_does_not_recommend_a_space() -> None:
    """Every space has the input's width; what counts are the modules that it names."""
    found = focus(load_space("fastestdet-head"), TIMES_MS, min_share=0.1)
    assert found.share == pytest.approx(0.4), "neck and head"


def test_the_space_that_covers_most_is_proposed() -> None:
    """With a slow backbone the chain; all necks cover a slow neck, and the smallest is proposed."""
    slow_neck = {**TIMES_MS, "neck.chains.2.0": 20.0}
    for times_ms, expected in ((TIMES_MS | {"neck": 0.1}, "chain"), (slow_neck, "fastestdet-head")):
        found = [focus(load_space(name), times_ms, min_share=0.1) for name in SPACES]
        assert most_covering(found).space == expected


def test_without_time_nothing_acts() -> None:
    """A profile of a foreign network names no module of a space."""
    assert focus(load_space("chain"), {"model.0.conv": 3.0}, min_share=0.1).share == 0

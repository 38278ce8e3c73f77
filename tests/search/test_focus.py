"""Choices that save time on a board."""

from collections.abc import Mapping

import pytest

from mlflow_nas.errors import CandidateError
from mlflow_nas.search import coverage, focus, most_covering
from mlflow_nas.search.focus import Focus, Measure
from mlflow_nas.space import SPACES, load_space
from mlflow_nas.types import Architecture

TIMES_MS = {
    "": 1.0,
    "backbone.stage2.0.branch2": 4.0,
    "backbone.stage20": 1.0,
    "neck": 0.5,
    "neck.chains.2.0": 2.5,
    "head.box.3": 1.0,
}


def _by_value(saved: Mapping[tuple[str, object], float]) -> Measure:
    """The latency of the changes that are listed; every other one saves nothing."""
    return lambda one: 1 - sum(saved.get((name, value), 0.0) for name, value in one.items())


def _focus(name: str, measure: Measure, *, min_saving: float = 0.03) -> Focus:
    return focus(load_space(name), TIMES_MS, measure=measure, cost=lambda _: 1.0, min_saving=min_saving)


def test_choices_are_ordered_by_what_they_save_and_the_rest_is_fixed() -> None:
    """Measured at the faster end; groups save nothing, and keep the baseline's value."""
    saved = {("kernel_size", 3): 0.05, ("channels", 24): 0.4, ("img_width", 220): 0.5, ("groups", 8): 0.01}
    found = _focus("fastestdet-head", _by_value(saved))
    assert [(one.name, one.at) for one in found.parameters] == [
        ("img_width", 220),
        ("channels", 24),
        ("kernel_size", 3),
        ("groups", 8),
    ]
    assert [one.saving for one in found.parameters] == pytest.approx([0.5, 0.4, 0.05, 0.01])
    assert found.settings == ("groups=1",)
    assert (found.focused_size, found.size) == (2 * 10 * 26, 2_080)


def test_an_end_that_is_slower_or_cant_be_built_saves_nothing() -> None:
    """The other end counts; where neither saves, the parameter is fixed."""

    def measure(architecture: Architecture) -> float:
        if architecture["stage2_depth"] == 2:
            raise CandidateError("no such depth")
        return 1.2 if architecture["stage2_kernel"] == 5 else 1.0

    found = _focus("chain", measure)
    assert all(one.saving <= 0 for one in found.parameters)
    assert found.focused_size == 1


def test_of_words_the_ends_are_the_fewest_and_the_most_operations() -> None:
    """The others are not measured."""
    space, measured = load_space("multi-branch"), list[object]()

    def measure(architecture: Architecture) -> float:
        measured.append(architecture["branch3"])
        return 0.5

    def cost(architecture: Architecture) -> float:
        return float(str(architecture["branch3"]).replace("none", "0").strip("kd").replace("d", ""))

    focus(space, TIMES_MS, measure=measure, cost=cost, min_saving=0.03)
    assert {one for one in measured if one != "k5d3"} == {"none"}


def test_what_acts_on_everything_does_not_recommend_a_space() -> None:
    """Every space has the input's width; what counts are the modules that it names."""
    assert coverage(load_space("fastestdet-head"), TIMES_MS).share == pytest.approx(0.4), "neck and head"
    assert coverage(load_space("chain"), TIMES_MS).share == pytest.approx(0.4), "stage20 is another module"


def test_the_space_that_covers_most_is_proposed() -> None:
    """With a slow backbone the chain; all necks cover a slow neck, and the smallest is proposed."""
    slow_neck = {**TIMES_MS, "neck.chains.2.0": 20.0}
    for times_ms, expected in ((TIMES_MS | {"neck": 0.1}, "chain"), (slow_neck, "fastestdet-head")):
        assert most_covering([coverage(load_space(name), times_ms) for name in SPACES]).space == expected


def test_without_time_nothing_acts() -> None:
    """A profile of a foreign network names no module of a space."""
    assert coverage(load_space("chain"), {"model.0.conv": 3.0}).share == 0

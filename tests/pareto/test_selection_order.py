"""Selection by non-dominated rank and epsilon net."""

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.pareto import non_dominated, selection_order

ACCURATE_FAST = (True, False)


def test_a_better_front_comes_first() -> None:
    """Each front is behind the one that dominates it."""
    points = [(0.5, 5.0), (0.9, 9.0), (0.4, 6.0), (0.3, 2.0), (0.2, 7.0)]
    order = selection_order(points, ACCURATE_FAST)
    assert set(order[:3].tolist()) == {0, 1, 3}
    assert order[3:].tolist() == [2, 4]


def test_a_front_is_spread_from_its_first_points_on() -> None:
    """The best of the first objective, then the farthest: both ends before what lies between them."""
    points = [(0.50, 5.0), (0.90, 9.0), (0.88, 8.8), (0.10, 1.0), (0.86, 8.6)]
    assert selection_order(points, ACCURATE_FAST).tolist()[:3] == [1, 3, 0]


def test_units_do_not_matter() -> None:
    """An objective in other units gives the same order."""
    points = np.random.default_rng(0).uniform(size=(20, 2))
    scaled = points * [1.0, 1e6]
    assert selection_order(points, ACCURATE_FAST).tolist() == selection_order(scaled, ACCURATE_FAST).tolist()


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_any_points_are_ordered_completely(objectives: int) -> None:
    """Every point once, equals included, and the first ones are the Pareto front."""
    points = np.random.default_rng(1).integers(0, 4, size=(30, objectives)).astype(float)
    maximize = (True,) * objectives
    order = selection_order(points, maximize)
    front = set(np.flatnonzero(non_dominated(points, maximize)).tolist())
    assert sorted(order.tolist()) == list(range(30))
    assert set(order[: len(front)].tolist()) == front
    assert selection_order(points, maximize, count=7).tolist() == order[:7].tolist()


def test_no_points_have_no_order() -> None:
    """An empty rung has no best."""
    assert selection_order(np.zeros((0, 2)), ACCURATE_FAST).tolist() == []


def test_a_missing_measurement_is_refused() -> None:
    """A NaN has no rank."""
    with pytest.raises(ConfigError, match=r"point 1 is .*objectives must be finite"):
        selection_order([(0.1, 1.0), (float("nan"), 2.0)], ACCURATE_FAST)

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.pareto import dominators, non_dominated

MAP_AND_LATENCY = (True, False)


def test_front_takes_more_map_and_less_latency() -> None:
    """A point is on the front when nothing is both more accurate and faster."""
    points = [[0.5, 10.0], [0.6, 20.0], [0.4, 15.0], [0.6, 25.0]]
    assert non_dominated(points, MAP_AND_LATENCY).tolist() == [True, True, False, False]


def test_duplicates_of_a_front_member_are_all_kept() -> None:
    """Equal points don't dominate each other."""
    points = [[0.5, 10.0], [0.5, 10.0], [0.4, 10.0]]
    assert non_dominated(points, MAP_AND_LATENCY).tolist() == [True, True, False]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5])
def test_front_equals_the_definition(objectives: int) -> None:
    """The front follows the definition of dominance, ties included, for one to five objectives."""
    rng = np.random.default_rng(objectives)
    maximize = tuple(index % 2 == 0 for index in range(objectives))
    points = rng.integers(0, 5, size=(200, objectives)).astype(float)
    costs = np.where(maximize, -points, points)
    nowhere_worse = (costs[:, None] <= costs[None]).all(axis=-1)
    somewhere_better = (costs[:, None] < costs[None]).any(axis=-1)
    expected = ~(nowhere_worse & somewhere_better).any(axis=0)
    assert (non_dominated(points, maximize) == expected).all()


def test_no_points_have_no_front() -> None:
    """An empty table has an empty front and no dominators."""
    assert non_dominated(np.empty((0, 2)), MAP_AND_LATENCY).shape == (0,)
    assert dominators(np.empty((0, 2)), MAP_AND_LATENCY).shape == (0,)


def test_input_is_left_alone() -> None:
    """Directions are applied to a copy."""
    points = np.array([[0.5, 10.0], [0.6, 20.0]])
    before = points.copy()
    non_dominated(points, MAP_AND_LATENCY)
    dominators(points, MAP_AND_LATENCY)
    assert (points == before).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_measurement_are_refused(value: float) -> None:
    """A NaN or infinite objective is an error that names the point."""
    with pytest.raises(ConfigError, match=r"point 1 is \[0\.5, .*\], objectives must be finite; leave out"):
        non_dominated([[0.6, 1.0], [0.5, value]], MAP_AND_LATENCY)


def test_columns_must_fit_the_directions() -> None:
    """Three columns with two directions are an error with both numbers."""
    with pytest.raises(ConfigError, match=r"shape \(1, 3\), the 2 directions need \[n, 2\]"):
        non_dominated([[1.0, 2.0, 3.0]], MAP_AND_LATENCY)


def test_a_dominated_point_names_the_first_front_member_that_dominates_it() -> None:
    """The named member is on the front, is nowhere worse, and is the first such."""
    points = [[0.55, 12.0], [0.5, 10.0], [0.6, 20.0], [0.5, 13.0], [0.6, 20.0], [0.58, 30.0]]
    assert dominators(points, MAP_AND_LATENCY).tolist() == [-1, -1, -1, 0, -1, 2]


def test_every_named_dominator_dominates() -> None:
    """On random points, front members have no dominator and every other point has one."""
    points = np.random.default_rng(7).random((300, 3))
    maximize = (True, False, True)
    front, named = non_dominated(points, maximize), dominators(points, maximize)
    costs = np.where(maximize, -points, points)
    assert ((named == -1) == front).all()
    losers = np.flatnonzero(~front)
    assert front[named[losers]].all()
    assert (costs[named[losers]] <= costs[losers]).all()
    assert (costs[named[losers]] < costs[losers]).any(axis=1).all()

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.pareto import hypervolume, knee

MAP_AND_LATENCY = (True, False)


def test_hypervolume_is_the_area_under_the_steps() -> None:
    """Two steps above map 0 and below 100 ms: .5 x 90 and the further .1 x 80."""
    points = [[0.5, 10.0], [0.6, 20.0]]
    assert hypervolume(points, (0.0, 100.0), MAP_AND_LATENCY) == pytest.approx(0.5 * 90 + 0.1 * 80)


def test_dominated_and_too_bad_points_add_no_volume() -> None:
    """A dominated point and one beyond the reference change nothing."""
    points = [[0.5, 10.0], [0.4, 20.0], [0.9, 120.0]]
    assert hypervolume(points, (0.0, 100.0), MAP_AND_LATENCY) == pytest.approx(45.0)


def test_no_points_have_no_volume() -> None:
    """An empty front dominates nothing."""
    assert hypervolume(np.empty((0, 2)), (0.0, 100.0), MAP_AND_LATENCY) == 0.0


def test_reference_must_fit_the_directions() -> None:
    """A reference of one value for two objectives is refused."""
    with pytest.raises(ConfigError, match="the 2 directions need"):
        hypervolume([[0.5, 10.0]], (100.0,), MAP_AND_LATENCY)


def test_knee_is_the_point_that_bends_away_most() -> None:
    """Almost all of the accuracy for little of the time is the knee; dominated points are ignored."""
    points = [[0.3, 10.0], [0.55, 14.0], [0.5, 30.0], [0.6, 40.0]]
    assert knee(points, MAP_AND_LATENCY) == 1


def test_knee_does_not_depend_on_the_units() -> None:
    """Seconds instead of milliseconds leave the knee where it is."""
    points = np.array([[0.3, 10.0], [0.45, 12.0], [0.55, 20.0], [0.6, 40.0]])
    assert knee(points, MAP_AND_LATENCY) == knee(points * [1.0, 1e-3], MAP_AND_LATENCY) == 2


def test_knee_of_three_objectives_is_the_balanced_one() -> None:
    """A point close to the best of all three beats the extremes."""
    points = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.8, 0.8, 0.8]]
    assert knee(points, (True, True, True)) == 3


@pytest.mark.parametrize("points", [[[0.5, 10.0]], [[0.5, 10.0], [0.6, 20.0]], [[0.5, 10.0]] * 3])
def test_front_without_a_bend_gives_its_first_member(points: list[list[float]]) -> None:
    """One point, two points and equal points have no bend."""
    assert knee(points, MAP_AND_LATENCY) == 0


def test_straight_front_gives_its_first_extreme() -> None:
    """Points on a line tie although their sums differ in the last bit."""
    points = [[0.1 * step, 0.7 * step] for step in range(11)]
    assert knee(points, MAP_AND_LATENCY) == 0


def test_no_points_have_no_knee() -> None:
    """An empty front is an error with the number that is needed."""
    with pytest.raises(ConfigError, match="0 points have no knee, at least 1 is needed"):
        knee(np.empty((0, 2)), MAP_AND_LATENCY)

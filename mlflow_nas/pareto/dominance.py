"""Pareto dominance over finite points with several objectives, each to maximize or to minimize."""

import moocore
import numpy as np
import numpy.typing as npt

from mlflow_nas.errors import ConfigError

__all__ = ["checked", "dominators", "non_dominated"]

Floats = npt.NDArray[np.float64]


def checked(points: npt.ArrayLike, maximize: tuple[bool, ...]) -> Floats:
    """The points as float64 [n, m], one direction per objective.

    Args:
        points: [n, m], a row per candidate, a column per objective; n may be 0.
        maximize: m directions, True where more is better.

    Raises:
        ConfigError: the shape does not match the directions, or a value is NaN or infinite.
    """
    array = np.asarray(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != len(maximize):
        raise ConfigError(
            f"points have shape {array.shape}, the {len(maximize)} directions need [n, {len(maximize)}]; "
            "pass one column per objective"
        )
    rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
    if rows.size:
        raise ConfigError(
            f"point {rows[0]} is {array[rows[0]].tolist()}, objectives must be finite; "
            "leave out candidates without a measurement"
        )
    return array


def non_dominated(points: npt.ArrayLike, maximize: tuple[bool, ...]) -> npt.NDArray[np.bool_]:
    """Mark the Pareto front: the points that no other point dominates.

    A point dominates another when it is at least as good everywhere and better somewhere, so equal
    points don't dominate each other: duplicates of a front member are all kept. Kung, Luccio and
    Preparata 1975, doi:10.1145/321906.321910, as implemented by moocore.

    Args:
        points: [n, m], a row per candidate, a column per objective.
        maximize: m directions, True where more is better.

    Returns:
        [n], True on the front.

    Raises:
        ConfigError: the shape does not match the directions, or a value is NaN or infinite.
    """
    array = checked(points, maximize)
    front: npt.NDArray[np.bool_] = moocore.is_nondominated(array, maximise=maximize, keep_weakly=True)
    return front.astype(np.bool_)


def dominators(points: npt.ArrayLike, maximize: tuple[bool, ...]) -> npt.NDArray[np.int64]:
    """Find, for each dominated point, a front member that dominates it.

    Of several the first in the order of the points, so that a point appended later does not change
    the results of the points before it while their dominators stay on the front.

    Args:
        points: [n, m], a row per candidate, a column per objective.
        maximize: m directions, True where more is better.

    Returns:
        [n], the index of a front member; -1 for the front's own members.

    Raises:
        ConfigError: the shape does not match the directions, or a value is NaN or infinite.
    """
    array = checked(points, maximize)
    front = np.flatnonzero(non_dominated(array, maximize))
    costs = np.where(maximize, -array, array)
    found = np.full(len(array), -1, dtype=np.int64)
    for index in np.setdiff1d(np.arange(len(array)), front):
        # A front member that is nowhere worse than a dominated point is better somewhere: were it equal,
        # the point would be on the front itself.
        nowhere_worse = (costs[front] <= costs[index]).all(axis=1)
        found[index] = front[np.argmax(nowhere_worse)]
    return found

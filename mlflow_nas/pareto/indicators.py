"""Hypervolume and knee of a front."""

import moocore
import numpy as np
import numpy.typing as npt

from mlflow_nas.errors import ConfigError
from mlflow_nas.pareto.dominance import checked, non_dominated

__all__ = ["hypervolume", "knee"]


def hypervolume(points: npt.ArrayLike, reference: tuple[float, ...], maximize: tuple[bool, ...]) -> float:
    """Measure the volume that the points dominate, up to the reference point.

    Zitzler and Thiele 1999, doi:10.1109/4235.797969, as implemented by moocore. Points that are not
    better than the reference in every objective add nothing; no points, no volume.

    Args:
        points: [n, m], a row per candidate, a column per objective; dominated ones may be among them.
        reference: m values, the worst acceptable of each objective.
        maximize: m directions, True where more is better.

    Returns:
        The volume, in the product of the objectives' units.

    Raises:
        ConfigError: a shape does not match the directions, or a value is NaN or infinite.
    """
    array = checked(points, maximize)
    corner = checked([reference], maximize)[0]
    return float(moocore.hypervolume(array, corner, maximise=maximize)) if len(array) else 0.0


def knee(points: npt.ArrayLike, maximize: tuple[bool, ...]) -> int:
    """Find the front member that bends away most from the line between the front's extremes.

    Each objective is normalised over the front to 0 (best) .. 1 (worst); the knee lies farthest from
    the hyperplane where these sum to 1, on the good side: the normal-boundary characterisation of Das
    1999, doi:10.1007/BF01195985, exact for two objectives. For more than two the plane through the
    unit vectors replaces that through the extreme points. A straight or hollow front (nothing on the
    good side) gives its first extreme.

    Args:
        points: [n, m], a row per candidate, a column per objective; dominated ones may be among them.
        maximize: m directions, True where more is better.

    Returns:
        The index of the knee among the points; of equals the first.

    Raises:
        ConfigError: there is no point, a shape does not fit, or a value is NaN or infinite.
    """
    array = checked(points, maximize)
    if not len(array):
        raise ConfigError("0 points have no knee, at least 1 is needed; measure a candidate first")
    front = np.flatnonzero(non_dominated(array, maximize))
    costs = np.where(maximize, -array, array)[front]
    best, worst = costs.min(axis=0), costs.max(axis=0)
    spread = np.where(worst > best, worst - best, 1.0)
    distance = 1.0 - ((costs - best) / spread).sum(axis=1)
    # Rounded, so that points on a straight front tie in spite of their last bits and the first is taken.
    return int(front[np.argmax(distance.round(12))])

"""An order of points with several objectives: which of them to keep when only a few may stay."""

import moocore
import numpy as np
import numpy.typing as npt

from mlflow_nas.pareto.dominance import Floats, checked

__all__ = ["selection_order"]


def selection_order(
    points: npt.ArrayLike, maximize: tuple[bool, ...], *, count: int | None = None
) -> npt.NDArray[np.int64]:
    """Order points by non-dominated rank, and within a rank as an epsilon net.

    The epsilon net begins with the best of the first objective; the next is always the point farthest from
    those before it, so that any number of first points is spread over the front. Selection of candidates in
    MO-ASHA, arXiv:2106.12639, section 4, where it ranks above the crowding distance of NSGA-II
    (doi:10.1109/4235.996017). One departure: objectives are scaled to 0..1 over the front before distances
    are taken, because their units differ.

    Args:
        points: [n, m], a row per candidate, a column per objective; n may be 0.
        maximize: m directions, True where more is better.
        count: of the best points; None for all.

    Returns:
        [count], indexes of the points, best first; of equals the first comes first.

    Raises:
        ConfigError: the shape does not match the directions, or a value is NaN or infinite.
    """
    array = checked(points, maximize)
    if not len(array):
        return np.zeros(0, dtype=np.int64)
    costs = np.where(maximize, -array, array)
    ranks = np.asarray(moocore.pareto_rank(costs))
    wanted, order = len(array) if count is None else count, np.zeros(0, dtype=np.int64)
    for rank in np.unique(ranks):
        if len(order) >= wanted:
            break
        front = np.flatnonzero(ranks == rank)
        order = np.concatenate([order, front[_epsilon_net(costs[front])]])
    return order[:wanted]


def _epsilon_net(costs: Floats) -> npt.NDArray[np.int64]:
    """Indexes of points [n, m]: the least first cost, then always the farthest from those before."""
    spread = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    order = [int(np.argmin(scaled[:, 0]))]
    distance = np.full(len(costs), np.inf)
    for _ in range(len(costs) - 1):
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[order[-1]], axis=1))
        distance[order] = -1.0
        order.append(int(np.argmax(distance)))
    return np.asarray(order, dtype=np.int64)

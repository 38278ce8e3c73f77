"""The Pareto-best of many candidates, and not near-copies of each other.

m candidates.
"""

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from mlflow_nas.estimate import Floats
from mlflow_nas.pareto import non_dominated

__all__ = ["pick_candidates"]


def pick_candidates(
    scores: Floats,
    latency_ms: Floats,
    combinations: Sequence[Hashable],
    *,
    count: int,
    per_combination: int,
) -> list[int]:
    """Indices of candidates to train, best first.

    Those on the front of score and latency come first, then those on the front of what is left, and so on
    (non-dominated sorting, doi:10.1109/4235.996017); within a front the highest score is first. Scores that
    follow the network's size would fill the list with near-copies: of one combination only so many are
    taken, and so many more each time that the candidates are used up.

    Args:
        scores: [m], higher is better; NaN is missing and never picked.
        latency_ms: [m]; NaN likewise.
        combinations: [m], equal for near-copies.
        count: how many are wanted; fewer are given when there are fewer.
        per_combination: at least 1.
    """
    waiting = _sorted(scores, latency_ms)
    picked: list[int] = []
    taken: Counter[Hashable] = Counter()
    limit = per_combination
    while waiting and len(picked) < count:
        left = []
        for index in waiting:
            if len(picked) < count and taken[combinations[index]] < limit:
                picked.append(index)
                taken[combinations[index]] += 1
            else:
                left.append(index)
        waiting, limit = left, limit + per_combination
    return picked


def _sorted(scores: Floats, latency_ms: Floats) -> list[int]:
    """Indices of the candidates without gaps, front after front."""
    points = np.stack([scores, latency_ms], axis=1)
    left = np.flatnonzero(np.isfinite(points).all(axis=1))
    order: list[int] = []
    while left.size:
        front = non_dominated(points[left], (True, False))
        members = left[front]
        order += members[np.lexsort((latency_ms[members], -scores[members]))].tolist()
        left = left[~front]
    return order

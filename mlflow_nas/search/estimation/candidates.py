"""Drawing candidates from a space, and selecting Pareto-best ones that are not near-copies of each other.

Shapes: m candidates, k objectives.
"""

import itertools
import random
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence

import numpy as np

from mlflow_nas.estimate import Floats
from mlflow_nas.pareto import non_dominated
from mlflow_nas.space import SearchSpace, Value
from mlflow_nas.types import Architecture

__all__ = ["combination", "draw_distinct", "select_diverse_pareto"]

MOST_CHOICES = 8
"""A parameter with at most this number of values is a choice, one with more is a size."""
_LISTED = 20_000


def draw_distinct(space: SearchSpace, *, without: Collection[str], seed: int) -> Iterator[dict[str, Value]]:
    """Members of the space in random order, each once, until none is left.

    Args:
        space: may be narrowed.
        without: keys of architectures to leave out.
        seed: of the order.
    """
    rng = random.Random(seed)  # noqa: S311 - a draw of architectures, not a secret
    seen = set(without)
    for architecture in _shuffled(space, rng) if space.size <= _LISTED else _drawn(space, rng):
        key = space.key(architecture)
        if key not in seen:
            seen.add(key)
            yield architecture


def _shuffled(space: SearchSpace, rng: random.Random) -> list[dict[str, Value]]:
    rows = list(itertools.product(*(parameter.values for parameter in space.parameters.values())))
    rng.shuffle(rows)
    return [dict(zip(space.parameters, row, strict=True)) for row in rows]


def _drawn(space: SearchSpace, rng: random.Random) -> Iterator[dict[str, Value]]:
    while True:
        yield space.draw(rng)


def combination(space: SearchSpace, architecture: Architecture) -> tuple[Value, ...]:
    """The choices of an architecture without its sizes: near-copies of each other have the same."""
    return tuple(
        value
        for name, value in space.validate(architecture).items()
        if len(space.parameters[name].legal) <= MOST_CHOICES
    )


def select_diverse_pareto(
    points: Floats,
    maximize: tuple[bool, ...],
    combinations: Sequence[Hashable],
    *,
    count: int,
    max_per_combination: int,
) -> list[int]:
    """Indices of candidates to train, best first.

    Candidates are sorted front by front (non-dominated sorting, doi:10.1109/4235.996017), within a front by
    the first objective. Scores that grow with the network's size would fill the list with near-copies, so
    that a combination contributes at most `max_per_combination`; when the candidates are used up, the bound
    grows by as many.

    Args:
        points: [m, k], the score first; candidates with NaN are never selected.
        maximize: k directions.
        combinations: [m], equal for near-copies.
        count: length of the list; it is shorter when there are fewer candidates.
        max_per_combination: at least 1.
    """
    waiting = _sorted(points, maximize)
    selected: list[int] = []
    taken: Counter[Hashable] = Counter()
    bound = max_per_combination
    while waiting and len(selected) < count:
        left = []
        for index in waiting:
            if len(selected) < count and taken[combinations[index]] < bound:
                selected.append(index)
                taken[combinations[index]] += 1
            else:
                left.append(index)
        waiting, bound = left, bound + max_per_combination
    return selected


def _sorted(points: Floats, maximize: tuple[bool, ...]) -> list[int]:
    """Indices of the candidates without NaN, front after front."""
    costs = np.where(maximize, -points, points)
    left = np.flatnonzero(np.isfinite(points).all(axis=1))
    order: list[int] = []
    while left.size:
        front = non_dominated(points[left], maximize)
        members = left[front]
        order += members[np.lexsort(costs[members].T[::-1])].tolist()
        left = left[~front]
    return order

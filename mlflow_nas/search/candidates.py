"""Which architectures an estimate is asked of."""

import itertools
import random
from collections.abc import Collection, Iterator

from mlflow_nas.space import SearchSpace, Value
from mlflow_nas.types import Architecture

__all__ = ["combination", "draw_distinct"]

FEW = 8
"""A parameter of at most so many values is a choice, one of more is a size."""
_LISTED = 20_000


def draw_distinct(space: SearchSpace, *, without: Collection[str], seed: int) -> Iterator[dict[str, Value]]:
    """Members of the space in random order, each once, until there is none left.

    Args:
        space: may be narrowed.
        without: keys of architectures that are left out.
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
    """The choices of an architecture without its sizes: near-copies of each other share them."""
    return tuple(
        value
        for name, value in space.validate(architecture).items()
        if len(space.parameters[name].legal) <= FEW
    )

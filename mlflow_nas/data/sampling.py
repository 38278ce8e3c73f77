"""Which images form which batch, as a function of seed and epoch alone, so that a resumed run repeats."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from torch.utils.data import Sampler

__all__ = ["BatchPlan", "Plans", "SequentialPlans", "ShuffledPlans"]


class BatchPlan(NamedTuple):
    """One batch to come.

    Attributes:
        indices: of the images.
        seed: of the batch's augmentation; None for a batch that stays as it is.
    """

    indices: tuple[int, ...]
    seed: int | None


class SequentialPlans(Sampler[BatchPlan]):
    """All images in their order, never augmented.

    Args:
        count: images in the data set.
        batch_size: images in a batch; the last batch takes the rest.
    """

    def __init__(self, count: int, batch_size: int) -> None:
        self._count, self._batch_size = count, batch_size

    def __len__(self) -> int:
        return (self._count + self._batch_size - 1) // self._batch_size

    def __iter__(self) -> Iterator[BatchPlan]:
        for start in range(0, self._count, self._batch_size):
            yield BatchPlan(tuple(range(start, min(start + self._batch_size, self._count))), None)


class ShuffledPlans(Sampler[BatchPlan]):
    """All images in a new order each epoch; a single image left over joins the last batch.

    BatchNorm can't learn from a batch of one. Lightning calls ``set_epoch`` before each epoch. Of several
    augmented copies of the images, an epoch takes as many as there are images, and none twice until all
    were taken.

    Args:
        count: images in the data set, at least 2.
        batch_size: images in a batch, at least 2.
        seed: of order and augmentation.
        copies: number of copies of each image, one set after the other.
    """

    def __init__(self, count: int, batch_size: int, *, seed: int, copies: int = 1) -> None:
        self._count, self._batch_size = count, batch_size
        self._seed, self._copies = seed, copies
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Number of the next pass."""
        return self._epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next pass."""
        self._epoch = epoch

    def __len__(self) -> int:
        full, rest = divmod(self._count, self._batch_size)
        return max(1, full + (rest > 1))

    def __iter__(self) -> Iterator[BatchPlan]:
        cycle, part = divmod(self._epoch, self._copies)
        rng = np.random.default_rng((self._seed, cycle))
        order = rng.permutation(self._count * self._copies)[part * self._count :][: self._count].tolist()
        seeds = rng.integers(0, 2**63 - 1, len(self)).tolist()
        for number, seed in enumerate(seeds):
            start = number * self._batch_size
            stop = start + self._batch_size if number < len(self) - 1 else self._count
            yield BatchPlan(tuple(order[start:stop]), seed)


Plans: TypeAlias = SequentialPlans | ShuffledPlans

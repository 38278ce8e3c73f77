"""Training with a frozen trunk: its outputs are computed once, then only the rest of the network is run.

The first epochs compute them, each for one augmented copy of the images, and the teacher's soft targets too.

Shapes: b batch, F numbers of all of the trunk's outputs together, and of soft targets where there are any.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn

from mlflow_nas.data import (
    Batch,
    BatchPlan,
    DetectionDataModule,
    MemoryLoader,
    RawBatch,
    SequentialPlans,
    ShuffledPlans,
    stack_targets,
)
from mlflow_nas.errors import ConfigError
from mlflow_nas.space import TeacherTargets
from mlflow_nas.train.fusion import fuse_batch_norms
from mlflow_nas.train.teacher import Soft, Teacher

__all__ = ["CachedFeatures", "cached_features", "fit_in_memory"]

Shapes = tuple[tuple[int, ...], ...]

_CPU = torch.device("cpu")
_HALF_BYTES = 2
_LIMIT_BYTES = 2 * 1024**3


def _unpack(packed: Tensor, shapes: Shapes) -> list[Tensor]:
    """[b, F, 1, 1], as many numbers as the maps have or more -> maps [b, c, h, w], channels last."""
    numbers = [math.prod(shape) for shape in shapes]
    parts = torch.split(packed.flatten(1)[:, : sum(numbers)], numbers, dim=1)
    return [
        part.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        for part, (channels, height, width) in zip(parts, shapes, strict=True)
    ]


class _Unpack(nn.Module):
    """Replaces the backbone: returns its outputs, which are packed first."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self._shapes = shapes

    def forward(self, packed: Tensor) -> tuple[Tensor, ...]:
        """[b, F, 1, 1] -> the backbone's outputs [b, c, h, w]."""
        return tuple(_unpack(packed, self._shapes))


class _UnpackTargets:
    """Replaces the teacher: returns its soft targets, which are packed behind `start` numbers."""

    def __init__(self, start: int, shapes: Shapes) -> None:
        self._start, self._shapes = start, shapes

    def __call__(self, packed: Tensor) -> TeacherTargets:
        """[b, F, 1, 1] -> the soft targets."""
        objectness, boxes, *classes = _unpack(packed[:, self._start :], self._shapes)
        return TeacherTargets(objectness[:, 0], boxes, classes[0] if classes else None)


Maps: TypeAlias = Callable[[Tensor], Sequence[Tensor]]
"""Images [b, 3, H, W] to maps [b, c, h, w]."""


def _with_teacher(backbone: nn.Module, teacher: Teacher, *, shared: str | None) -> Maps:
    """The trunk's outputs, then the soft targets; a trunk at the teacher's path `shared` is run once."""

    def maps(images: Tensor) -> Sequence[Tensor]:
        outputs = tuple(backbone(images))
        soft = teacher(images) if shared is None else teacher.on_features(shared, outputs)
        if isinstance(soft, Tensor):
            raise ConfigError("Soft targets are cached of the layout `cells` alone: set caches_trunk=False.")
        objectness, boxes, classes = soft
        return [*outputs, objectness[:, None], boxes, *([] if classes is None else [classes])]

    return maps


class _Item(NamedTuple):
    """One copy of one image: features [F] in half precision, targets [n, 6], size in pixels [2]."""

    features: Tensor
    targets: Tensor
    size: Tensor


class _Features:
    """Features of one split, one copy of it after the other, each computed when it is first needed.

    Args:
        maps: computes the cached maps of images.
        images: batches of the images of a copy.
        count: of the images of a copy.
        copies: number of copies.
    """

    def __init__(
        self, maps: Maps, images: Callable[[int], Iterable[Batch]], *, count: int, copies: int = 1
    ) -> None:
        self._maps, self._images, self._count, self._copies = maps, images, count, copies
        self._cache: dict[int, list[_Item]] = {}

    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        """The planned batch, of all copies together."""
        for copy in range(self._copies):
            if copy not in self._cache:
                deque(self.compute(copy), maxlen=0)
        items = len(self._cache[0])
        return _stack([self._cache[index // items][index % items] for index in plan.indices])

    def compute(self, copy: int) -> Iterator[RawBatch]:
        """The batches of a copy as they are computed; before the last one is yielded the copy is cached.

        Lightning knows the number of batches and never continues the iterator after the last one.
        """
        computed: list[_Item] = []
        for batch in self._images(copy):
            items = list(_compute(self._maps, batch))
            computed += items
            if len(computed) == self._count:
                self._cache[copy] = computed
            yield _stack(items)


class _Loader(MemoryLoader):
    """An epoch per copy while its features are computed, so that no training waits. Then all copies mixed."""

    def __init__(self, features: _Features, plans: ShuffledPlans, *, copies: int) -> None:
        super().__init__(features, plans)
        self._features, self._plans, self._copies = features, plans, copies

    def __iter__(self) -> Iterator[RawBatch]:
        epoch = self._plans.epoch  # read with the first batch: Lightning sets the epoch after iter()
        yield from self._features.compute(epoch) if epoch < self._copies else super().__iter__()


class CachedFeatures(LightningDataModule):
    """Batches whose images are a backbone's features of them, packed into [b, F, 1, 1].

    Args:
        backbone: gives several outputs [b, c, h, w].
        data: the images.
        augmented_copies: of each training image, beside the unaugmented one.
        seed: of the order.
        trunk: path of the backbone in its network.
        teacher: its soft targets of the training images are packed behind their features; or None.
        device: where features are computed and cached.

    Attributes:
        teacher: returns these from the packed features; None without one.
        unpack: returns the backbone's outputs, likewise.
    """

    def __init__(
        self,
        backbone: nn.Module,
        data: DetectionDataModule,
        *,
        augmented_copies: int,
        seed: int,
        trunk: str = "backbone",
        teacher: Teacher | None = None,
        device: torch.device = _CPU,
    ) -> None:
        super().__init__()
        self._copies = augmented_copies + 1
        fused = fuse_batch_norms(backbone).to(device)
        shapes = _shapes_of(fused, data, device)
        self.unpack = _Unpack(shapes)
        self.teacher: Callable[[Tensor], Soft] | None = None
        maps: Maps = fused
        if teacher is not None:
            shared = trunk if teacher.shares(trunk, backbone) else None
            maps = _with_teacher(fused, teacher, shared=shared)
            targets = _shapes_of(maps, data, device)[len(shapes) :]
            self.teacher = _UnpackTargets(sum(map(math.prod, shapes)), targets)
        self._train = _Features(
            maps,
            lambda copy: data.batches("train", epoch=copy, augmented=copy > 0, device=device),
            count=data.counts[0],
            copies=self._copies,
        )
        self._val = _Features(fused, lambda _copy: data.val_originals(device=device), count=data.counts[1])
        self._counts, self._seed, self._batch_size = data.counts, seed, data.batch_size

    def train_dataloader(self) -> MemoryLoader:
        """As many features as there are images, in a new order each epoch."""
        plans = ShuffledPlans(self._counts[0], self._batch_size, seed=self._seed, copies=self._copies)
        return _Loader(self._train, plans, copies=self._copies)

    def val_dataloader(self) -> MemoryLoader:
        """Features of the images as they are, in the order of the data set."""
        return MemoryLoader(self._val, SequentialPlans(self._counts[1], self._batch_size))

    def on_after_batch_transfer(self, batch: RawBatch, dataloader_idx: int) -> Batch:  # noqa: ARG002 - Lightning's signature
        """Back to the precision that the network computes with."""
        return Batch(batch.images.float(), batch.targets, batch.sizes)


def _stack(items: Sequence[_Item]) -> RawBatch:
    return RawBatch(
        images=torch.stack([item.features for item in items])[:, :, None, None],
        targets=stack_targets([item.targets for item in items]),
        sizes=torch.stack([item.size for item in items]),
        seed=None,
    )


def _compute(maps: Maps, batch: Batch) -> Iterator[_Item]:
    with torch.inference_mode():
        outputs = maps(batch.images.contiguous(memory_format=torch.channels_last))
        # [b, c, h, w] each -> [b, F], each output as rows, columns, channels
        packed = torch.cat([output.permute(0, 2, 3, 1).flatten(1) for output in outputs], dim=1).half()
    for index, features in enumerate(packed):
        own = batch.targets[:, 0] == index
        yield _Item(features.clone(), batch.targets[own, 1:], batch.sizes[index])


@contextmanager
def cached_features(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    augmented_copies: int,
    seed: int,
    trunk: str = "backbone",
    teacher: Teacher | None = None,
    device: torch.device = _CPU,
) -> Iterator[CachedFeatures]:
    """Inside, `network` takes the cached features for images; afterwards it has its trunk again."""
    backbone = network.get_submodule(trunk).to("cpu").eval()
    features = CachedFeatures(
        backbone,
        data,
        augmented_copies=augmented_copies,
        seed=seed,
        trunk=trunk,
        teacher=teacher,
        device=device,
    )
    network.set_submodule(trunk, features.unpack)
    try:
        yield features
    finally:
        network.set_submodule(trunk, backbone)


def fit_in_memory(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    augmented_copies: int,
    trunk: str = "backbone",
    limit_bytes: int = _LIMIT_BYTES,
) -> bool:
    """Whether the outputs of a network's trunk for all images are few enough to be cached."""
    shapes = _shapes_of(network.get_submodule(trunk).to("cpu").eval(), data, _CPU)
    train, val = data.counts
    numbers = ((augmented_copies + 1) * train + val) * sum(map(math.prod, shapes))
    return numbers * _HALF_BYTES <= limit_bytes


def _shapes_of(maps: Maps, data: DetectionDataModule, device: torch.device) -> Shapes:
    first = next(data.batches("val", device=device))
    with torch.inference_mode():
        return tuple(tuple(output.shape[1:]) for output in maps(first.images[:1]))

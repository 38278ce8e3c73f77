"""Training with a frozen backbone: its features are computed once, then only neck and head are run.

The first epochs compute them, one view of the images each, as they go; and what a teacher says of the view.

Shapes: b batch, F numbers of all of the backbone's outputs together, and of the lesson where there is one.
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
from mlflow_nas.train.distillation import Lesson, Teacher
from mlflow_nas.train.fusion import fuse_batch_norms

__all__ = ["CachedFeatures", "cached_features", "fit_in_memory"]

Shapes = tuple[tuple[int, ...], ...]

_CPU = torch.device("cpu")
_HALF_BYTES = 2
_MEMORY_LIMIT_BYTES = 2 * 1024**3


def _unpack(packed: Tensor, shapes: Shapes) -> list[Tensor]:
    """[b, F, 1, 1], as many numbers as the maps have or more -> maps [b, c, h, w], channels last."""
    numbers = [math.prod(shape) for shape in shapes]
    parts = torch.split(packed.flatten(1)[:, : sum(numbers)], numbers, dim=1)
    return [
        part.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        for part, (channels, height, width) in zip(parts, shapes, strict=True)
    ]


class _Unpack(nn.Module):
    """Stands in for the backbone: gives back its outputs, which were packed first."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self._shapes = shapes

    def forward(self, packed: Tensor) -> tuple[Tensor, ...]:
        """[b, F, 1, 1] -> the backbone's outputs [b, c, h, w]."""
        return tuple(_unpack(packed, self._shapes))


class _UnpackLesson:
    """Stands in for the teacher: gives back what it said, which was packed behind `start` numbers."""

    def __init__(self, start: int, shapes: Shapes) -> None:
        self._start, self._shapes = start, shapes

    def __call__(self, packed: Tensor) -> Lesson:
        """[b, F, 1, 1] -> the lesson."""
        objectness, boxes, *classes = _unpack(packed[:, self._start :], self._shapes)
        return Lesson(objectness[:, 0], boxes, classes[0] if classes else None)


Maps: TypeAlias = Callable[[Tensor], Sequence[Tensor]]
"""Images [b, 3, H, W] to maps [b, c, h, w]."""


def _with_lesson(backbone: nn.Module, teacher: Teacher, *, shared: bool) -> Maps:
    """The backbone's outputs, then the lesson; a `shared` backbone is run once."""

    def maps(images: Tensor) -> Sequence[Tensor]:
        outputs = tuple(backbone(images))
        objectness, boxes, classes = teacher.on_features(outputs) if shared else teacher(images)
        return [*outputs, objectness[:, None], boxes, *([] if classes is None else [classes])]

    return maps


class _Item(NamedTuple):
    """One view of one image: features [F] in half precision, targets [n, 6], size in pixels [2]."""

    features: Tensor
    targets: Tensor
    size: Tensor


class _Features:
    """Features of one split, one view of it after the other, each computed when it is first asked for.

    Args:
        maps: what is kept of images.
        images: batches of the images of a view.
        count: of the images of a view.
        views: how many there are.
    """

    def __init__(
        self, maps: Maps, images: Callable[[int], Iterable[Batch]], *, count: int, views: int = 1
    ) -> None:
        self._maps, self._images, self._count, self._views = maps, images, count, views
        self._kept: dict[int, list[_Item]] = {}

    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        """The planned batch, of all views together."""
        for view in range(self._views):
            if view not in self._kept:
                deque(self.compute(view), maxlen=0)
        items = len(self._kept[0])
        return _stack([self._kept[index // items][index % items] for index in plan.indices])

    def compute(self, view: int) -> Iterator[RawBatch]:
        """The batches of a view as they are computed; with the last one the view is kept.

        Before it is given away: Lightning knows how many there are and never asks for what comes after it.
        """
        kept: list[_Item] = []
        for batch in self._images(view):
            items = list(_compute(self._maps, batch))
            kept += items
            if len(kept) == self._count:
                self._kept[view] = kept
            yield _stack(items)


class _Loader(MemoryLoader):
    """An epoch per view as its features are computed: no training waits for them. Then all views mixed."""

    def __init__(self, features: _Features, plans: ShuffledPlans, *, views: int) -> None:
        super().__init__(features, plans)
        self._features, self._plans, self._views = features, plans, views

    def __iter__(self) -> Iterator[RawBatch]:
        epoch = self._plans.epoch  # read with the first batch: Lightning tells the epoch after it has begun
        yield from self._features.compute(epoch) if epoch < self._views else super().__iter__()


class CachedFeatures(LightningDataModule):
    """Batches whose images are a backbone's features of them, packed into [b, F, 1, 1].

    Args:
        backbone: gives several outputs [b, c, h, w].
        data: the images.
        views: augmented views of each training image, beside the unaugmented one.
        seed: of the order.
        teacher: what it says of the training images is packed behind their features; or None.
        device: where features are computed and kept.

    Attributes:
        teacher: gives that back, from the packed features; None without one.
        unpack: gives the backbone's outputs back, likewise.
    """

    def __init__(
        self,
        backbone: nn.Module,
        data: DetectionDataModule,
        *,
        views: int,
        seed: int,
        teacher: Teacher | None = None,
        device: torch.device = _CPU,
    ) -> None:
        super().__init__()
        self._views = views + 1
        fused = fuse_batch_norms(backbone).to(device)
        shapes = _shapes_of(fused, data, device)
        self.unpack = _Unpack(shapes)
        self.teacher: Callable[[Tensor], Lesson] | None = None
        maps: Maps = fused
        if teacher is not None:
            maps = _with_lesson(fused, teacher, shared=teacher.shares(backbone))
            lesson = _shapes_of(maps, data, device)[len(shapes) :]
            self.teacher = _UnpackLesson(sum(map(math.prod, shapes)), lesson)
        self._train = _Features(
            maps,
            lambda view: data.batches("train", epoch=view, augmented=view > 0, device=device),
            count=data.counts[0],
            views=self._views,
        )
        self._val = _Features(fused, lambda _view: data.photographs(device=device), count=data.counts[1])
        self._counts, self._seed, self._batch_size = data.counts, seed, data.batch_size

    def train_dataloader(self) -> MemoryLoader:
        """As many views as there are images, in a new order each epoch."""
        plans = ShuffledPlans(self._counts[0], self._batch_size, seed=self._seed, views=self._views)
        return _Loader(self._train, plans, views=self._views)

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
    views: int,
    seed: int,
    teacher: Teacher | None = None,
    device: torch.device = _CPU,
) -> Iterator[CachedFeatures]:
    """Inside, `network` takes the cached features for images; afterwards it has its `backbone` again."""
    backbone = network.get_submodule("backbone").to("cpu").eval()
    features = CachedFeatures(backbone, data, views=views, seed=seed, teacher=teacher, device=device)
    network.backbone = features.unpack
    try:
        yield features
    finally:
        network.backbone = backbone


def fit_in_memory(
    network: nn.Module, data: DetectionDataModule, *, views: int, limit_bytes: int = _MEMORY_LIMIT_BYTES
) -> bool:
    """Whether the features of all images are few enough to be kept; `network` has a `backbone`."""
    shapes = _shapes_of(network.get_submodule("backbone").to("cpu").eval(), data, _CPU)
    train, val = data.counts
    numbers = ((views + 1) * train + val) * sum(map(math.prod, shapes))
    return numbers * _HALF_BYTES <= limit_bytes


def _shapes_of(maps: Maps, data: DetectionDataModule, device: torch.device) -> Shapes:
    first = next(data.batches("val", device=device))
    with torch.inference_mode():
        return tuple(tuple(output.shape[1:]) for output in maps(first.images[:1]))

"""Training with a frozen backbone: its features are computed once, then only neck and head are run.

Shapes: b batch, F numbers of all of the backbone's outputs together.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

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

__all__ = ["CachedFeatures", "cached_features", "fit_in_memory"]

Shapes = tuple[tuple[int, ...], ...]

_HALF_BYTES = 2
_MEMORY_LIMIT_BYTES = 2 * 1024**3


class _Unpack(nn.Module):
    """Stands in for the backbone: gives back the outputs that were packed into [b, F, 1, 1]."""

    def __init__(self, shapes: Shapes) -> None:
        super().__init__()
        self._shapes = shapes

    def forward(self, packed: Tensor) -> tuple[Tensor, ...]:
        """[b, F, 1, 1] -> the backbone's outputs [b, c, h, w], channels last."""
        parts = torch.split(packed.flatten(1), [math.prod(shape) for shape in self._shapes], dim=1)
        return tuple(
            part.reshape(-1, height, width, channels).permute(0, 3, 1, 2)
            for part, (channels, height, width) in zip(parts, self._shapes, strict=True)
        )


class _Item(NamedTuple):
    """One view of one image: its features [F] in half precision, targets [n, 6], size in pixels [2]."""

    features: Tensor
    targets: Tensor
    size: Tensor


class _FeatureSource:
    """Batches of features by plan."""

    def __init__(self, items: Iterable[_Item]) -> None:
        self._items = list(items)

    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        chosen = [self._items[index] for index in plan.indices]
        return RawBatch(
            images=torch.stack([item.features for item in chosen])[:, :, None, None],
            targets=stack_targets([item.targets for item in chosen]),
            sizes=torch.stack([item.size for item in chosen]),
            seed=None,
        )


class CachedFeatures(LightningDataModule):
    """Batches whose images are a backbone's features of them, packed into [b, F, 1, 1].

    Args:
        backbone: gives several outputs [b, c, h, w].
        data: the images.
        views: augmented views of each training image, beside the unaugmented one.
        seed: of the order.
    """

    def __init__(self, backbone: nn.Module, data: DetectionDataModule, *, views: int, seed: int) -> None:
        super().__init__()
        passes = [data.batches("train", epoch=view, augmented=view > 0) for view in range(views + 1)]
        self._train = [item for batches in passes for item in _compute(backbone, batches)]
        self._val = list(_compute(backbone, data.batches("val")))
        self._views, self._seed, self._batch_size = views + 1, seed, data.batch_size

    def train_dataloader(self) -> MemoryLoader:
        """As many views as there are images, in a new order each epoch."""
        count = len(self._train) // self._views
        plans = ShuffledPlans(count, self._batch_size, seed=self._seed, views=self._views)
        return MemoryLoader(_FeatureSource(self._train), plans)

    def val_dataloader(self) -> MemoryLoader:
        """Features of the images as they are, in the order of the data set."""
        return MemoryLoader(_FeatureSource(self._val), SequentialPlans(len(self._val), self._batch_size))

    def on_after_batch_transfer(self, batch: RawBatch, dataloader_idx: int) -> Batch:  # noqa: ARG002 - Lightning's signature
        """Back to the precision that the network computes with."""
        return Batch(batch.images.float(), batch.targets, batch.sizes)


def _compute(backbone: nn.Module, batches: Iterable[Batch]) -> Iterator[_Item]:
    for batch in batches:
        with torch.inference_mode():
            outputs = backbone(batch.images.contiguous(memory_format=torch.channels_last))
            # [b, c, h, w] each -> [b, F], each output as rows, columns, channels
            packed = torch.cat([output.permute(0, 2, 3, 1).flatten(1) for output in outputs], dim=1).half()
        for index, features in enumerate(packed):
            own = batch.targets[:, 0] == index
            yield _Item(features.clone(), batch.targets[own, 1:], batch.sizes[index])


@contextmanager
def cached_features(
    network: nn.Module, data: DetectionDataModule, *, views: int, seed: int
) -> Iterator[CachedFeatures]:
    """Inside, `network` takes the cached features for images; afterwards it has its `backbone` again."""
    backbone = network.get_submodule("backbone").to("cpu").eval()
    features = CachedFeatures(backbone, data, views=views, seed=seed)
    network.backbone = _Unpack(_shapes_of(backbone, data))
    try:
        yield features
    finally:
        network.backbone = backbone


def fit_in_memory(
    network: nn.Module, data: DetectionDataModule, *, views: int, limit_bytes: int = _MEMORY_LIMIT_BYTES
) -> bool:
    """Whether the features of all images are few enough to be kept; `network` has a `backbone`."""
    shapes = _shapes_of(network.get_submodule("backbone").to("cpu").eval(), data)
    train, val = data.counts
    numbers = ((views + 1) * train + val) * sum(map(math.prod, shapes))
    return numbers * _HALF_BYTES <= limit_bytes


def _shapes_of(backbone: nn.Module, data: DetectionDataModule) -> Shapes:
    first = next(data.batches("val"))
    with torch.inference_mode():
        return tuple(tuple(output.shape[1:]) for output in backbone(first.images[:1]))

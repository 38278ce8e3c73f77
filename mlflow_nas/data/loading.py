"""Batches of images at the network's size, decoded once and cached in bytes where there is space."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mlflow_nas.data.dataset import DetectionDataset, Record
from mlflow_nas.data.image_cache import ImageCache
from mlflow_nas.data.images import resize_to_bytes
from mlflow_nas.data.sample import ImageSize, RawBatch, Sample
from mlflow_nas.data.sampling import BatchPlan, Plans

__all__ = ["BatchSource", "MemoryLoader", "stack_targets", "to_targets"]


def to_targets(annotated: Record | Sample, size: ImageSize) -> Tensor:
    """The boxes of an image as rows (class, cx, cy, w, h, ignore), float32 [n, 6], normalised.

    Args:
        annotated: the boxes, xyxy in pixels.
        size: (height, width) of the image in pixels.
    """
    height, width = size
    boxes = annotated.boxes / np.array([width, height, width, height], dtype=np.float32)
    columns = (
        annotated.labels[:, None],
        (boxes[:, :2] + boxes[:, 2:]) / 2,
        boxes[:, 2:] - boxes[:, :2],
        annotated.ignore[:, None],
    )
    return torch.from_numpy(np.concatenate(columns, axis=1).astype(np.float32))


def stack_targets(per_image: list[Tensor]) -> Tensor:
    """Rows of several images [n, 6] under each other, with the index of the image in front, [m, 7]."""
    counts = torch.tensor([len(rows) for rows in per_image])
    index = torch.arange(len(per_image)).repeat_interleave(counts).float()
    return torch.cat([index[:, None], torch.cat(per_image)], dim=1)


class BatchSource(Dataset[RawBatch]):
    """Batches of a data set by plan, their images with channels last.

    Args:
        dataset: the images.
        img_size: (height, width) of the network's input, in pixels.
        cache: keeps each image's resized bytes from its first use on: a training's first step waits for one
            batch, not for all images. None: images are decoded again in every epoch.
    """

    def __init__(
        self, dataset: DetectionDataset, *, img_size: ImageSize, cache: ImageCache | None = None
    ) -> None:
        self._dataset, self._img_size, self._cache = dataset, img_size, cache

    def __getstate__(self) -> dict[str, Any]:
        """Without the cache: a worker that is not forked can't share it."""
        return {**self.__dict__, "_cache": None}

    def cache_on(self, device: torch.device) -> None:
        """Cache images in that device's memory, those that are cached already as well."""
        if self._cache is not None:
            self._cache.move_to(device)

    def _image(self, index: int) -> Tensor:
        """One image at the network's size, uint8 [H, W, 3]: augmentation and convolutions are fastest so."""
        cached = self._cache.get(index) if self._cache is not None else None
        if cached is not None:
            return cached
        whole = self._dataset.records[index].source.read()
        image = resize_to_bytes(whole, self._img_size).permute(1, 2, 0).contiguous()
        return image if self._cache is None else self._cache.put(index, image)

    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        """The planned batch; images that are cached on a device are there, everything else is on the CPU.

        Raises:
            ConfigError: an image can't be decoded.
        """
        records = [self._dataset.records[index] for index in plan.indices]
        sizes = [record.source.size for record in records]
        targets = [to_targets(record, size) for record, size in zip(records, sizes, strict=True)]
        return RawBatch(
            images=torch.stack([self._image(index) for index in plan.indices]).permute(0, 3, 1, 2),
            targets=stack_targets(targets),
            sizes=torch.tensor(sizes),
            seed=plan.seed,
        )


class _Batches(Protocol):
    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        """The planned batch."""


class MemoryLoader:
    """A loader without workers: what is in memory needs none, and a torch DataLoader only adds time.

    Args:
        source: batches by plan.
        sampler: the plans; Lightning sets its epoch.
    """

    def __init__(self, source: _Batches, sampler: Plans) -> None:
        self._source = source
        self.sampler = sampler
        self.batch_sampler = None  # where Lightning looks for the shuffling before it looks at `sampler`

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[RawBatch]:
        return (self._source[plan] for plan in self.sampler)

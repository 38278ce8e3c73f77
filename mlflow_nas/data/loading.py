"""Images at the network's size: decoded once and cached in bytes, or decoded batch by batch."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.images import resize_to_bytes
from mlflow_nas.data.sample import ImageSize, RawBatch, Sample
from mlflow_nas.data.sampling import BatchPlan, Plans

__all__ = ["BatchSource", "MemoryLoader", "stack_targets", "to_targets"]


def to_targets(sample: Sample) -> Tensor:
    """The boxes of one image as rows (class, cx, cy, w, h, ignore), float32 [n, 6], normalised."""
    height, width = sample.image.shape[:2]
    boxes = sample.boxes / np.array([width, height, width, height], dtype=np.float32)
    columns = (
        sample.labels[:, None],
        (boxes[:, :2] + boxes[:, 2:]) / 2,
        boxes[:, 2:] - boxes[:, :2],
        sample.ignore[:, None],
    )
    return torch.from_numpy(np.concatenate(columns, axis=1).astype(np.float32))


def stack_targets(per_image: list[Tensor]) -> Tensor:
    """Rows of several images [n, 6] under each other, with the index of the image in front, [m, 7]."""
    counts = torch.tensor([len(rows) for rows in per_image])
    index = torch.arange(len(per_image)).repeat_interleave(counts).float()
    return torch.cat([index[:, None], torch.cat(per_image)], dim=1)


class _ResizedImage(NamedTuple):
    """One image at the network's input size, uint8 [H, W, 3], its targets [n, 6] and its original size."""

    image: Tensor
    targets: Tensor
    size: ImageSize


class BatchSource(Dataset[RawBatch]):
    """Batches of a data set by plan, their images with channels last.

    Args:
        dataset: the images.
        img_size: (height, width) of the network's input, in pixels.
        in_memory: cache each image's resized bytes from its first use on: a training's first step waits for
            one batch, not for all images.
    """

    def __init__(self, dataset: DetectionDataset, *, img_size: ImageSize, in_memory: bool) -> None:
        self._dataset, self._img_size = dataset, img_size
        self._cache: dict[int, _ResizedImage] | None = {} if in_memory else None
        self._device = torch.device("cpu")

    def cache_on(self, device: torch.device) -> None:
        """Cache images in that device's memory, those that are cached already as well."""
        self._device = device
        if self._cache is not None:
            self._cache = {index: self._placed(item) for index, item in self._cache.items()}

    def _placed(self, item: _ResizedImage) -> _ResizedImage:
        return item._replace(image=item.image.to(self._device))

    def _read(self, index: int) -> _ResizedImage:
        sample = self._dataset[index]
        height, width = sample.image.shape[:2]
        # Cached as [H, W, 3]: augmentation and convolutions are fastest so.
        image = resize_to_bytes(sample.image, self._img_size).permute(1, 2, 0).contiguous()
        return _ResizedImage(image, to_targets(sample), (height, width))

    def _item(self, index: int) -> _ResizedImage:
        if self._cache is None:
            return self._read(index)
        if index not in self._cache:
            self._cache[index] = self._placed(self._read(index))
        return self._cache[index]

    def __getitem__(self, plan: BatchPlan) -> RawBatch:
        """The planned batch; images that are cached on a device are there, everything else is on the CPU.

        Raises:
            ConfigError: an image can't be decoded.
        """
        chosen = [self._item(index) for index in plan.indices]
        return RawBatch(
            images=torch.stack([item.image for item in chosen]).permute(0, 3, 1, 2),
            targets=stack_targets([item.targets for item in chosen]),
            sizes=torch.tensor([item.size for item in chosen]),
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

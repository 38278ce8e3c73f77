"""The LightningDataModule: seeded batches, prepared on the device."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TypeAlias

import torch
from pytorch_lightning import LightningDataModule

from mlflow_nas.data.augment import Augmentation, augment_batch
from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.image_cache import MemoryCache, open_mapped_cache
from mlflow_nas.data.loading import BatchSource, MemoryLoader
from mlflow_nas.data.sample import Batch, ImageSize, RawBatch, Split
from mlflow_nas.data.sampling import Plans, SequentialPlans, ShuffledPlans
from mlflow_nas.data.workers import WorkerLoader, check_shared_memory
from mlflow_nas.errors import ConfigError

__all__ = ["DetectionDataModule", "Loader", "in_order", "prepare_batch"]

Loader: TypeAlias = MemoryLoader | WorkerLoader

_MIN_IMAGES = 2
_MIN_SIDE_PX = 32
_MEMORY_LIMIT_BYTES = 2 * 1024**3
_CPU = torch.device("cpu")


def prepare_batch(raw: RawBatch, *, augmentation: Augmentation = "flip-zoom") -> Batch:
    """Bytes to 0..1, with the augmentation when the batch carries a seed."""
    if raw.seed is None:
        return Batch(raw.images.float().div_(255), raw.targets, raw.sizes)
    return Batch(*augment_batch(raw.images, raw.targets, seed=raw.seed, augmentation=augmentation), raw.sizes)


def in_order(dataset: DetectionDataset, *, img_size: ImageSize, batch_size: int = 16) -> Iterator[Batch]:
    """All images of a data set, prepared on the CPU, read when their batch is asked for.

    Args:
        dataset: the images.
        img_size: (height, width) of the network's input, in pixels.
        batch_size: images in a batch; the last batch takes the rest.

    Raises:
        ConfigError: an image can't be decoded.
    """
    source = BatchSource(dataset, img_size=img_size)
    return map(prepare_batch, MemoryLoader(source, SequentialPlans(len(dataset), batch_size)))


class DetectionDataModule(LightningDataModule):
    """Batches of two data sets at one input size.

    The same seed gives the same batches and the same augmentation, whether images are cached in memory or
    decoded by workers, in one run or in a resumed one.

    Args:
        train: images to train on, at least 2.
        val: images to evaluate on, always in their order; an epoch is evaluated on its images
            without evaluation augmentations.
        img_size: (height, width) of the network's input, in pixels.
        batch_size: images in a batch, at least 2; the last batch may be smaller, or larger by one.
        seed: of order and augmentation.
        augmentation: of the training batches.
        memory_limit_bytes: resized images of both sets are cached in memory up to this size; beyond it
            workers read them, from a file that they map into memory, or by decoding them in every epoch where
            the disk is short.

    Raises:
        ConfigError: too few images, too small a batch or input.
    """

    def __init__(
        self,
        train: DetectionDataset,
        val: DetectionDataset,
        *,
        img_size: ImageSize,
        batch_size: int,
        seed: int,
        augmentation: Augmentation = "flip-zoom",
        memory_limit_bytes: int = _MEMORY_LIMIT_BYTES,
    ) -> None:
        super().__init__()
        _check(train, img_size, batch_size)
        self._train, self._val = train, val
        self._img_size, self._batch_size = img_size, batch_size
        self._seed, self._augmentation = seed, augmentation
        needed_bytes = (len(train) + len(val)) * 3 * img_size[0] * img_size[1]
        self._in_memory = needed_bytes <= memory_limit_bytes

    @property
    def batch_size(self) -> int:
        """Images in a batch."""
        return self._batch_size

    @property
    def counts(self) -> tuple[int, int]:
        """Images to train on, and images to measure an epoch on."""
        return len(self._train), len(self._val.originals)

    @cached_property
    def _train_source(self) -> BatchSource:
        return self._source(self._train)

    @cached_property
    def _val_source(self) -> BatchSource:
        return self._source(self._val)

    def _source(self, dataset: DetectionDataset) -> BatchSource:
        cache = MemoryCache() if self._in_memory else open_mapped_cache(len(dataset), self._img_size)
        return BatchSource(dataset, img_size=self._img_size, cache=cache)

    def cache_on(self, device: torch.device) -> None:
        """Cache images in that device's memory, so that a training there waits for none."""
        for source in (self._train_source, self._val_source):
            source.cache_on(device)

    def train_dataloader(self) -> Loader:
        """Raw batches in a new order each epoch, from the one that a resumed training begins with."""
        plans = self._shuffled()
        if self.trainer:  # it sets the epoch after workers have begun to read
            done = self.trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]  # not typed
            plans.set_epoch(done)
        return self._loader(self._train_source, plans)

    def val_dataloader(self) -> Loader:
        """Raw batches of the images as they are, in the order of the data set."""
        return self._val_loader(self.counts[1])

    def _val_loader(self, images: int) -> Loader:
        return self._loader(self._val_source, SequentialPlans(images, self._batch_size))

    def _shuffled(self) -> ShuffledPlans:
        return ShuffledPlans(len(self._train), self._batch_size, seed=self._seed)

    def _loader(self, source: BatchSource, plans: Plans) -> Loader:
        if self._in_memory:
            return MemoryLoader(source, plans)
        height, width = self._img_size
        check_shared_memory((self._batch_size + 1) * 3 * height * width)
        return WorkerLoader(source, plans)

    def on_after_batch_transfer(self, batch: RawBatch, dataloader_idx: int) -> Batch:  # noqa: ARG002 - Lightning's signature
        """Prepare the batch on its device, where it is cheap."""
        return self._prepare(batch)

    def _prepare(self, raw: RawBatch) -> Batch:
        return prepare_batch(raw, augmentation=self._augmentation)

    def batches(
        self, split: Split, *, epoch: int = 0, augmented: bool = True, device: torch.device = _CPU
    ) -> Iterator[Batch]:
        """Prepared batches, without a Trainer.

        Args:
            split: "train" (shuffled), or "val" with its evaluation augmentations.
            epoch: whose order and augmentation of "train" to give.
            augmented: whether "train" is augmented.
            device: where images are prepared and given; boxes stay on the CPU.
        """
        if split == "val":
            return _prepared(self._val_loader(len(self._val)), prepare_batch, device)
        plans = self._shuffled()
        plans.set_epoch(epoch)
        raws = self._loader(self._train_source, plans)
        return _prepared(raws, self._prepare if augmented else _prepare_plain, device)

    def val_originals(self, *, device: torch.device = _CPU) -> Iterator[Batch]:
        """Prepared batches of "val" as an epoch is measured on it, their images on a device."""
        return _prepared(self.val_dataloader(), prepare_batch, device)

    @property
    def identity(self) -> str:
        """Equal for modules of equal batches: digests of both sets, and all that shapes a batch."""
        return (
            f"{self._train.digest} {self._val.digest} {self._img_size} {self._batch_size} {self._seed} "
            f"{self._augmentation}"
        )


def _prepared(
    raws: Iterable[RawBatch], prepare: Callable[[RawBatch], Batch], device: torch.device
) -> Iterator[Batch]:
    return (prepare(raw._replace(images=raw.images.to(device))) for raw in raws)


def _prepare_plain(raw: RawBatch) -> Batch:
    return prepare_batch(raw._replace(seed=None))


def _check(train: DetectionDataset, img_size: ImageSize, batch_size: int) -> None:
    if len(train) < _MIN_IMAGES:
        raise ConfigError(
            f"data {train.uri!r}: {len(train)} image to train on, {_MIN_IMAGES} are the least; add images"
        )
    if batch_size < _MIN_IMAGES:
        raise ConfigError(
            f"batch size {batch_size} is too small, {_MIN_IMAGES} is the least: "
            "BatchNorm can't learn from one image; raise training.batch_size"
        )
    if min(img_size) < _MIN_SIDE_PX:
        raise ConfigError(
            f"input size {img_size} (height, width) is too small; {_MIN_SIDE_PX} pixels is the least side; "
            "give a larger img_width or img_height"
        )

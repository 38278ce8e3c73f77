"""Where resized images stay between epochs: in memory, or in a file that workers map into theirs."""

import mmap
import os
import tempfile
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mlflow_nas.data.sample import ImageSize

__all__ = ["ImageCache", "MappedCache", "MemoryCache", "open_mapped_cache"]

_LEFT_FREE_BYTES = 2 * 1024**3
_MAX_BYTES = 64 * 1024**3


class ImageCache(Protocol):
    """Resized images by their index, uint8 [H, W, 3] each."""

    def get(self, index: int) -> Tensor | None:
        """The image; None before it is put."""

    def put(self, index: int, image: Tensor) -> Tensor:
        """Store an image; returns it where it is kept."""

    def move_to(self, device: torch.device) -> None:
        """Keep images in a device's memory from now on, where the cache can."""


class MemoryCache:
    """Images in memory, of this machine or of a device."""

    def __init__(self) -> None:
        self._images: dict[int, Tensor] = {}
        self._device = torch.device("cpu")

    def get(self, index: int) -> Tensor | None:
        """The image on the device; None before it is put."""
        return self._images.get(index)

    def put(self, index: int, image: Tensor) -> Tensor:
        """Store an image; returns it on the device."""
        self._images[index] = image.to(self._device)
        return self._images[index]

    def move_to(self, device: torch.device) -> None:
        """Keep images in that device's memory, those that are stored already as well."""
        self._device = device
        self._images = {index: image.to(device) for index, image in self._images.items()}


class MappedCache:
    """Images in a file without a name, which forked workers share and the system writes when memory is short.

    An image is written before its mark, so that another process sees all of it or none.

    Args:
        count: number of images.
        img_size: (height, width) of all, in pixels.
        folder: on the disk that holds the file.

    Raises:
        OSError: the file can't be made.
    """

    def __init__(self, count: int, img_size: ImageSize, folder: Path) -> None:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.truncate(_needed_bytes(count, img_size))
            self._images = np.memmap(file, dtype=np.uint8, mode="r+", shape=(count, *img_size, 3))
        self._marks = mmap.mmap(-1, count)

    def get(self, index: int) -> Tensor | None:
        """A copy of the image; None before any process has put it."""
        return torch.from_numpy(np.array(self._images[index])) if self._marks[index] else None

    def put(self, index: int, image: Tensor) -> Tensor:
        """Store an image for all processes; returns it."""
        self._images[index] = image.numpy()
        self._marks[index] = 1
        return image

    def move_to(self, device: torch.device) -> None:
        """Nothing: what does not fit into memory stays in the file."""


def open_mapped_cache(count: int, img_size: ImageSize, folder: Path | None = None) -> MappedCache | None:
    """A cache on disk; None where the disk has not the space, so that images are decoded again.

    Args:
        count: number of images.
        img_size: (height, width) of all, in pixels.
        folder: None for the system's folder of temporary files.
    """
    place = folder or Path(tempfile.gettempdir())
    needed = _needed_bytes(count, img_size)
    try:
        found = os.statvfs(place)
        if needed > min(_MAX_BYTES, found.f_bavail * found.f_frsize - _LEFT_FREE_BYTES):
            return None
        return MappedCache(count, img_size, place)
    except OSError:
        return None


def _needed_bytes(count: int, img_size: ImageSize) -> int:
    return count * 3 * img_size[0] * img_size[1]

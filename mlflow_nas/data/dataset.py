"""A detection data set: records with their annotations in memory, images read when asked for."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.sample import ByteImage, ImageSize, Sample

__all__ = ["DetectionDataset", "ImageSource", "MemoryImage", "Record"]

_DIGEST_CHARACTERS = 12


class ImageSource(Protocol):
    """Source of one image's pixels."""

    @property
    def size(self) -> ImageSize:
        """(height, width) in pixels."""

    def read(self) -> ByteImage:
        """The image, RGB uint8 [h, w, 3]; the caller may change it."""

    def content(self) -> bytes:
        """The bytes that identify the image."""


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """An image that exists in memory only.

    Attributes:
        image: RGB uint8 [h, w, 3].
    """

    image: ByteImage

    @property
    def size(self) -> ImageSize:
        """(height, width) in pixels."""
        height, width = self.image.shape[:2]
        return height, width

    def read(self) -> ByteImage:
        """A copy of the image."""
        return self.image.copy()

    def content(self) -> bytes:
        """Shape and pixels."""
        return repr(self.image.shape).encode() + self.image.tobytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The annotations of one image; the fields are those of ``Sample``, the image is yet to be read."""

    source: ImageSource
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    image_id: str


class DetectionDataset:
    """A sequence of annotated images.

    Args:
        records: annotations, in the order of the sequence.
        name: short name for messages, such as "penn-fudan".
        uri: its source.
        classes: names that the labels index.
        skipped: ids of images that could not be used and were left out.
        eval_augmentations: number of augmented copies of each image; the unaugmented ones come first.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        name: str,
        uri: str,
        classes: Sequence[str],
        skipped: Sequence[str] = (),
        eval_augmentations: int = 1,
    ) -> None:
        self.records = tuple(records)
        self.skipped = tuple(skipped)
        self.eval_augmentations = eval_augmentations
        self.name = name
        self.uri = uri
        self.classes = tuple(classes)

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits of the content: images, boxes and classes, not places and file names.

        Results of data sets with different digests must not be compared.
        """
        state = hashlib.sha256("\0".join(self.classes).encode())
        for record in self.records:
            image = hashlib.sha256(record.source.content()).digest()
            state.update(image)
            for values in (record.boxes, record.labels, record.ignore):
                state.update(len(values).to_bytes(8, "little") + values.astype("<f4").tobytes())
        return state.hexdigest()[:_DIGEST_CHARACTERS]

    @property
    def originals(self) -> "DetectionDataset":
        """Its images without augmentations."""
        return self.part(self.records[: len(self) // self.eval_augmentations])

    def part(self, records: Sequence[Record], *, eval_augmentations: int = 1) -> "DetectionDataset":
        """Other records, mostly some of its own, as a data set of the same name."""
        return DetectionDataset(
            records,
            name=self.name,
            uri=self.uri,
            classes=self.classes,
            skipped=self.skipped,
            eval_augmentations=eval_augmentations,
        )

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        """Read one image.

        Raises:
            ConfigError: the image file can't be decoded.
            IndexError: there is no such image.
        """
        record = self.records[index]
        return Sample(
            image=record.source.read(),
            boxes=record.boxes.copy(),
            labels=record.labels.copy(),
            ignore=record.ignore.copy(),
            image_id=record.image_id,
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

"""A detection data set: records with their annotations in memory, images read when asked for."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.findings import Findings
from mlflow_nas.data.sample import ByteImage, ImageSize, Sample, Truth

__all__ = ["DetectionDataset", "ImageSource", "MemoryImage", "Record"]

_DIGEST_CHARACTERS = 12


class ImageSource(Protocol):
    """Source of one image's pixels."""

    @property
    def size(self) -> ImageSize:
        """(height, width) in pixels."""

    def read(self) -> ByteImage:
        """The image, RGB uint8 [h, w, 3]; the caller may change it."""

    def sha256(self) -> bytes:
        """Digest of what identifies the image."""


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

    def sha256(self) -> bytes:
        """Digest of shape and pixels."""
        return hashlib.sha256(repr(self.image.shape).encode() + self.image.tobytes()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The annotations of one image, which is yet to be read.

    Attributes:
        source: of the pixels.
        boxes: as in ``Sample``.
        labels: as in ``Sample``.
        ignore: as in ``Sample``.
        image_id: as in ``Sample``.
        path: the image file; None for an image in memory.
        hash: perceptual hash of the image in a file, 64 bits.
    """

    source: ImageSource
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    ignore: NDArray[np.bool_]
    image_id: str
    path: Path | None = None
    hash: int = 0


class DetectionDataset:
    """A sequence of annotated images.

    Args:
        records: annotations, in the order of the sequence.
        name: short name for messages, such as "penn-fudan".
        uri: its source.
        classes: names that the labels index.
        skipped: ids of images that could not be used and were left out.
        findings: what is wrong with its files, see `KINDS`; of all splits that were loaded together.
        label_files: those that were read, where each image has its own.
        eval_augmentations: number of augmented copies of each image; the unaugmented ones come first.
        truth: boxes of objects, or one class of each image, which is then that of a box around all of it.
    """

    def __init__(
        self,
        records: Sequence[Record],
        *,
        name: str,
        uri: str,
        classes: Sequence[str],
        skipped: Sequence[str] = (),
        findings: Findings | None = None,
        label_files: Collection[Path] = (),
        eval_augmentations: int = 1,
        truth: Truth = "boxes",
    ) -> None:
        self.records = tuple(records)
        self.findings = findings or Findings()
        self.label_files = frozenset(label_files)
        self.skipped = tuple(skipped)
        self.eval_augmentations = eval_augmentations
        self.truth: Truth = truth
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
            state.update(record.source.sha256())
            for values in (record.boxes, record.labels, record.ignore):
                state.update(len(values).to_bytes(8, "little") + values.astype("<f4").tobytes())
        return state.hexdigest()[:_DIGEST_CHARACTERS]

    @property
    def aspect(self) -> float:
        """Median width / height of the images."""
        return float(
            np.median([width / height for height, width in (one.source.size for one in self.records)])
        )

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
            findings=self.findings,
            label_files=self.label_files,
            eval_augmentations=eval_augmentations,
            truth=self.truth,
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

"""Augmentations of a split for evaluation: mAP is measured on several copies of each image."""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.dataset import DetectionDataset, ImageSource, Record
from mlflow_nas.data.sample import ByteImage, ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["default_eval_augmentations", "with_eval_augmentations"]

_Margin: TypeAlias = Literal["none", "left top", "right bottom"]

_AUGMENTATIONS: tuple[tuple[_Margin, bool], ...] = (
    ("none", False),
    ("none", True),
    ("left top", False),
    ("left top", True),
    ("right bottom", False),
    ("right bottom", True),
)
"""Margin, and whether the image is mirrored; the first one is the image itself."""

_MIN_AUGMENTATIONS, _MAX_AUGMENTATIONS = 2, len(_AUGMENTATIONS)
_ENOUGH_IMAGES = 300
_MARGIN_SHARE = 0.03
_GREY = 128


@dataclass(frozen=True, slots=True)
class _AugmentedImage:
    """An image with a grey margin at two sides, mirrored or not."""

    source: ImageSource
    margin: _Margin
    mirrored: bool

    @property
    def size(self) -> ImageSize:
        """(height, width) in pixels, the margin included."""
        height, width = self.source.size
        return (height, width) if self.margin == "none" else (_widened(height), _widened(width))

    @property
    def offset(self) -> ImageSize:
        """Offset (down, right) of the image in pixels, before it is mirrored."""
        if self.margin != "left top":
            return 0, 0
        (height, width), (outer_height, outer_width) = self.source.size, self.size
        return outer_height - height, outer_width - width

    def read(self) -> ByteImage:
        """The augmented image, RGB uint8 [h, w, 3]."""
        (height, width), (top, left) = self.source.size, self.offset
        image = np.full((*self.size, 3), _GREY, dtype=np.uint8)
        image[top : top + height, left : left + width] = self.source.read()
        return np.ascontiguousarray(image[:, ::-1]) if self.mirrored else image

    def sha256(self) -> bytes:
        """Digest of the image's digest and its augmentation."""
        done = (self.margin, _MARGIN_SHARE, _GREY, self.mirrored)
        return hashlib.sha256(repr(done).encode() + self.source.sha256()).digest()

    def moved(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes of the image [n, 4], xyxy in pixels, moved with it."""
        top, left = self.offset
        x_first, y_first, x_last, y_last = (boxes.reshape(-1, 4) + np.array([left, top] * 2)).T
        if self.mirrored:
            x_first, x_last = self.size[1] - x_last, self.size[1] - x_first
        return np.stack([x_first, y_first, x_last, y_last], axis=1).astype(np.float32)


def default_eval_augmentations(images: int) -> int:
    """The least number that gives 300 images or more; 2 at least and 6 at most."""
    return min(max(math.ceil(_ENOUGH_IMAGES / images), _MIN_AUGMENTATIONS), _MAX_AUGMENTATIONS)


def with_eval_augmentations(dataset: DetectionDataset, count: int) -> DetectionDataset:
    """All images of a data set in their order, then all in the second augmentation, and so on.

    mAP on it varies less by chance than on the images alone: a detection near a threshold is evaluated
    several times. The second augmentation is the mirror image; the third and fifth have a grey margin of 3 %
    at the left and top or at the right and bottom, which moves objects on the detector's grid; the fourth and
    sixth are mirror images of these.

    Args:
        dataset: of unaugmented images.
        count: 1 to 6; with 1 it is the data set itself. Any other has another digest.

    Raises:
        ConfigError: the count is out of range.
    """
    if not 1 <= count <= _MAX_AUGMENTATIONS:
        raise ConfigError(
            f"{count} augmentations of each validation image: choose data.eval_augmentations from 1 to "
            f"{_MAX_AUGMENTATIONS}"
        )
    further = [
        _augment(record, *augmentation)
        for augmentation in _AUGMENTATIONS[1:count]
        for record in dataset.records
    ]
    return dataset.part([*dataset.records, *further], eval_augmentations=count) if further else dataset


def _augment(record: Record, margin: _Margin, mirrored: bool) -> Record:
    source = _AugmentedImage(record.source, margin, mirrored)
    name = "mirrored" if margin == "none" else f"margin {margin}{', mirrored' if mirrored else ''}"
    return replace(
        record, source=source, boxes=source.moved(record.boxes), image_id=f"{record.image_id} {name}"
    )


def _widened(side_px: int) -> int:
    return side_px + max(round(_MARGIN_SHARE * side_px), 1)

"""Views of a split's photographs: each measures a detector once more."""

import math
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.dataset import DetectionDataset, ImageSource, Record
from mlflow_nas.data.sample import ByteImage, ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["default_views", "with_views"]

_Margin: TypeAlias = Literal["none", "left top", "right bottom"]

_VIEWS: tuple[tuple[_Margin, bool], ...] = (
    ("none", False),
    ("none", True),
    ("left top", False),
    ("left top", True),
    ("right bottom", False),
    ("right bottom", True),
)
"""Margin, and whether left and right change places; the first view is the photograph as it is."""

_LEAST_VIEWS, _MOST_VIEWS = 2, len(_VIEWS)
_ENOUGH_IMAGES = 300
_MARGIN_SHARE = 0.03
_GREY = 128


@dataclass(frozen=True, slots=True)
class _View:
    """An image on grey that leaves a margin at two sides, then perhaps mirrored."""

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
        """How far down and to the right the image lies, before it is mirrored."""
        if self.margin != "left top":
            return 0, 0
        (height, width), (outer_height, outer_width) = self.source.size, self.size
        return outer_height - height, outer_width - width

    def read(self) -> ByteImage:
        """The view, RGB uint8 [h, w, 3]."""
        (height, width), (top, left) = self.source.size, self.offset
        image = np.full((*self.size, 3), _GREY, dtype=np.uint8)
        image[top : top + height, left : left + width] = self.source.read()
        return np.ascontiguousarray(image[:, ::-1]) if self.mirrored else image

    def content(self) -> bytes:
        """The image's bytes and what was done to it."""
        done = (self.margin, _MARGIN_SHARE, _GREY, self.mirrored)
        return repr(done).encode() + self.source.content()

    def moved(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes of the image [n, 4], xyxy in pixels, where they lie in the view."""
        top, left = self.offset
        x_first, y_first, x_last, y_last = (boxes.reshape(-1, 4) + np.array([left, top] * 2)).T
        if self.mirrored:
            x_first, x_last = self.size[1] - x_last, self.size[1] - x_first
        return np.stack([x_first, y_first, x_last, y_last], axis=1).astype(np.float32)


def default_views(images: int) -> int:
    """As many as make at least 300 pictures of so many images; 2 at least and 6 at most."""
    return min(max(math.ceil(_ENOUGH_IMAGES / images), _LEAST_VIEWS), _MOST_VIEWS)


def with_views(dataset: DetectionDataset, views: int) -> DetectionDataset:
    """All images of a data set in their order, then all as they are seen in the second view, and so on.

    Detectors' mAP on it differs less by chance than on the photographs alone: what one just finds and another
    just misses has several tries. The second view is the mirror image; the third and fifth have a grey
    margin of 3 % at the left and top or at the right and bottom, so that objects lie elsewhere on the
    detector's grid; the fourth and sixth are mirror images of these.

    Args:
        dataset: of photographs.
        views: 1 to 6; with 1 it is the data set itself. Any other has another digest.

    Raises:
        ConfigError: there are not so many views.
    """
    if not 1 <= views <= _MOST_VIEWS:
        raise ConfigError(
            f"{views} views of each validation image: choose --val-views from 1 to {_MOST_VIEWS}"
        )
    further = [_view(record, *view) for view in _VIEWS[1:views] for record in dataset.records]
    return dataset.part([*dataset.records, *further], views=views) if further else dataset


def _view(record: Record, margin: _Margin, mirrored: bool) -> Record:
    source = _View(record.source, margin, mirrored)
    name = "mirrored" if margin == "none" else f"margin {margin}{', mirrored' if mirrored else ''}"
    return replace(
        record, source=source, boxes=source.moved(record.boxes), image_id=f"{record.image_id} {name}"
    )


def _widened(side_px: int) -> int:
    return side_px + max(round(_MARGIN_SHARE * side_px), 1)

"""From annotation files to checked records."""

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.dataset import Record
from mlflow_nas.data.image_files import DecodedFile, inspect_image
from mlflow_nas.data.sample import ImageSize, Split
from mlflow_nas.errors import ConfigError

__all__ = [
    "AnnotatedSplit",
    "Annotation",
    "EmptySplitError",
    "MissingSplitError",
    "OnBadImage",
    "Reader",
    "clip_boxes",
    "to_records",
]

OnBadImage: TypeAlias = Literal["refuse", "skip"]

_log = logging.getLogger(__name__)
_NAMED = 5
_DECODERS = 4
_MEMORY_BYTES = 1024**3
"""Decoded images of one split stay in memory up to this size; others are decoded again when they are read."""


class MissingSplitError(ConfigError):
    """The data set has no such split at all."""


class EmptySplitError(MissingSplitError):
    """A split has no boxes, such as a test split that is missing or whose annotations are not published."""


@dataclass(slots=True, kw_only=True)
class Annotation:
    """One image as its annotation file describes it, unchecked.

    Attributes:
        path: the image.
        named_by: the annotation file, for errors.
        image_id: names the image in its data set.
        size: (height, width) that the file names; None when it names none.
        boxes: xyxy in pixels, or in shares of the image's width and height.
        labels: index of the class of each box.
        ignore: whether each box is difficult or a crowd.
        in_shares: whether the boxes are shares. They are then those of the upright image, whatever its
            EXIF orientation.
    """

    path: Path
    named_by: Path
    image_id: str
    size: ImageSize | None
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ignore: list[bool] = field(default_factory=list)
    in_shares: bool = False

    def add(self, box: tuple[float, float, float, float], *, label: int, ignore: bool) -> None:
        """Append one box."""
        self.boxes.append(box)
        self.labels.append(label)
        self.ignore.append(ignore)


class AnnotatedSplit(NamedTuple):
    """The annotations of one split, its images unchecked.

    Attributes:
        name: short name of the data set, for messages.
        uri: its source.
        images: the annotation of each image.
    """

    name: str
    uri: str
    images: list[Annotation]


Reader: TypeAlias = Callable[[str, Split, Sequence[str]], AnnotatedSplit]
"""Reads the annotations at a location, of one split, for some classes."""


def clip_boxes(boxes: NDArray[np.float32], size: ImageSize) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Clip boxes to the image.

    Args:
        boxes: xyxy in pixels [n, 4].
        size: (height, width) in pixels.

    Returns:
        The clipped boxes [n, 4], and which of them have an area [n]; empty, reversed and outer boxes
        have none.
    """
    height, width = size
    limits = np.array([width, height, width, height], dtype=np.float32)
    clipped = np.clip(boxes, np.float32(0), limits)
    return clipped, np.all(clipped[:, 2:] > clipped[:, :2], axis=1)


def to_records(
    annotations: Iterable[Annotation], *, on_bad_image: OnBadImage
) -> tuple[list[Record], tuple[str, ...]]:
    """Decode every image once, clip its boxes and drop those without an area, with one warning.

    Args:
        annotations: the images.
        on_bad_image: the treatment of images that are missing, can't be decoded or have another size than
            annotated: refuse the data set, or skip them with a warning. Both name and count them.

    Returns:
        The records, and the ids of the images that were skipped.

    Raises:
        ConfigError: there are bad images, or nothing but bad images.
    """
    wanted = list(annotations)
    budget = _Budget(_MEMORY_BYTES)
    with ThreadPoolExecutor(_DECODERS) as pool:
        found = list(pool.map(lambda annotation: _to_record(annotation, budget), wanted))
    records = [one for one in found if isinstance(one, Record)]
    bad = {
        annotation.image_id: str(one)
        for annotation, one in zip(wanted, found, strict=True)
        if isinstance(one, ConfigError)
    }
    if bad:
        _say_bad(bad, len(wanted), on_bad_image)
    _say_dropped(wanted, found)
    return records, tuple(bad)


def _say_bad(bad: dict[str, str], total: int, on_bad_image: OnBadImage) -> None:
    rest = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    shown = "; ".join(list(bad.values())[:_NAMED]) + rest
    if on_bad_image == "refuse" or len(bad) == total:
        raise ConfigError(
            f"{len(bad)} of {total} images can't be used, 0 are allowed: {shown}. "
            "Fix them, or set data.on_bad_image=skip to leave them out."
        )
    _log.warning("%d of %d images are skipped: %s", len(bad), total, shown)


def _say_dropped(wanted: Sequence[Annotation], found: Sequence[Record | ConfigError]) -> None:
    lost = {
        annotation.image_id: len(annotation.boxes) - len(one.boxes)
        for annotation, one in zip(wanted, found, strict=True)
        if isinstance(one, Record) and len(annotation.boxes) > len(one.boxes)
    }
    if lost:
        names = ", ".join(list(lost)[:_NAMED]) + (", ..." if len(lost) > _NAMED else "")
        total = sum(lost.values())
        _log.warning("%d boxes dropped: empty, reversed or outside their image (%s)", total, names)


class _Budget:
    """Bytes that are left; threads may each overdraw it by one image."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, count: int) -> bool:
        self._left -= count
        return self._left >= 0


def _to_record(annotation: Annotation, budget: _Budget) -> Record | ConfigError:
    try:
        file = inspect_image(
            annotation.path,
            annotated_size=annotation.size,
            named_by=annotation.named_by,
            upright=annotation.in_shares,
        )
        image = file.read()
    except ConfigError as error:
        return error
    height, width = file.size
    scale = (width, height, width, height) if annotation.in_shares else (1, 1, 1, 1)
    boxes = np.array(annotation.boxes, dtype=np.float32).reshape(-1, 4) * np.array(scale, dtype=np.float32)
    clipped, valid = clip_boxes(boxes, file.size)
    return Record(
        source=DecodedFile(file, image) if budget.take(image.nbytes) else file,
        boxes=clipped[valid],
        labels=np.array(annotation.labels, dtype=np.int64)[valid],
        ignore=np.array(annotation.ignore, dtype=np.bool_)[valid],
        image_id=annotation.image_id,
    )

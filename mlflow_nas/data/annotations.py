"""From what an annotation file says to records that can be trusted."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.dataset import Record
from mlflow_nas.data.files import inspect_image
from mlflow_nas.data.sample import ImageSize

__all__ = ["Annotation", "clip_boxes", "to_records"]

_log = logging.getLogger(__name__)
_NAMED = 5


@dataclass(slots=True, kw_only=True)
class Annotation:
    """One image as its annotation file describes it, unchecked.

    Attributes:
        path: the image.
        named_by: the annotation file, for errors.
        image_id: names the image in its data set.
        size: (height, width) that the file names; None when it names none.
        boxes: xyxy in pixels.
        labels: index of the class of each box.
        ignore: whether each box is difficult or a crowd.
    """

    path: Path
    named_by: Path
    image_id: str
    size: ImageSize | None
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ignore: list[bool] = field(default_factory=list)

    def add(self, box: tuple[float, float, float, float], *, label: int, ignore: bool) -> None:
        """Append one box."""
        self.boxes.append(box)
        self.labels.append(label)
        self.ignore.append(ignore)


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


def to_records(annotations: Iterable[Annotation]) -> list[Record]:
    """Check every image once, clip its boxes and drop those without an area, with one warning.

    Raises:
        ConfigError: an image is missing, unreadable or of another size than annotated.
    """
    records, dropped = [], {}
    for annotation in annotations:
        record = _to_record(annotation)
        records.append(record)
        lost = len(annotation.boxes) - len(record.boxes)
        if lost:
            dropped[annotation.image_id] = lost
    if dropped:
        names = ", ".join(list(dropped)[:_NAMED]) + (", ..." if len(dropped) > _NAMED else "")
        total = sum(dropped.values())
        _log.warning("%d boxes dropped: empty, reversed or outside their image (%s)", total, names)
    return records


def _to_record(annotation: Annotation) -> Record:
    source = inspect_image(annotation.path, annotated_size=annotation.size, named_by=annotation.named_by)
    boxes = np.array(annotation.boxes, dtype=np.float32).reshape(-1, 4)
    clipped, kept = clip_boxes(boxes, source.size)
    return Record(
        source=source,
        boxes=clipped[kept],
        labels=np.array(annotation.labels, dtype=np.int64)[kept],
        ignore=np.array(annotation.ignore, dtype=np.bool_)[kept],
        image_id=annotation.image_id,
    )

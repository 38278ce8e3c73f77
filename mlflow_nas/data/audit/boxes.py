"""Checks of boxes: repeated, without an area, out of their image, in another unit or order."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data.findings import Findings, XyxyBox
from mlflow_nas.data.formats.annotation import Annotation, BoxOrder
from mlflow_nas.data.sample import ImageSize

__all__ = ["CheckedBoxes", "check_boxes", "check_units", "find_repeated"]

_SAME_IOU = 0.99
_ODD_UNITS = 0.1
"""Share of boxes in another unit from which all are doubted."""
_ODD_PLACES = 0.25
"""Share of boxes that are out of place from which all are doubted."""
_FAR_OUT = 0.25
"""Of the image's side, by which a box reaches out of it."""
_ABOVE_SHARES = 2.0
_ROUNDING_PX = 1.0
_TINY_PX = 1e-3


class CheckedBoxes(NamedTuple):
    """Boxes of one image.

    Attributes:
        boxes: float32 [n, 4] xyxy in pixels, clipped to the image.
        kept: bool [n], which of them are used.
        odd: number of them that are empty, reversed or far out of the image.
        findings: what was found.
    """

    boxes: NDArray[np.float32]
    kept: NDArray[np.bool_]
    odd: int
    findings: Findings


def find_repeated(
    boxes: NDArray[np.float32], labels: NDArray[np.int64], ignore: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which boxes [n, 4] are an earlier one of the same class again: their IoU is .99 or more."""
    none = np.zeros(len(boxes), dtype=np.bool_)
    if len(boxes) < 2:
        return none
    sides = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    near = np.abs(boxes[:, None] - boxes[None]).max(axis=2) <= (1 - _SAME_IOU) * sides[:, None] + _TINY_PX
    if np.count_nonzero(near) == len(boxes):  # each is near to itself alone, as in most images
        return none
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inner = np.prod(np.clip(high - low, 0, None), axis=2)  # [n, n]
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    same = inner >= _SAME_IOU * (area[:, None] + area[None] - inner)
    same &= (labels[:, None] == labels[None]) & (ignore[:, None] == ignore[None]) & (inner > 0)
    repeated: NDArray[np.bool_] = np.tril(same, k=-1).any(axis=1)
    return repeated


def check_boxes(annotation: Annotation, boxes: NDArray[np.float32], size: ImageSize) -> CheckedBoxes:
    """Clip the boxes of one image, and find those that are not used.

    Args:
        annotation: of the image.
        boxes: float32 [n, 4], its boxes in pixels, unchecked.
        size: (height, width) of the image in pixels.
    """
    findings, image_id = Findings(), annotation.image_id
    height, width = size
    if _all_usable(boxes, width, height):  # as of most images
        repeated = find_repeated(boxes, np.array(annotation.labels), np.array(annotation.ignore))
        if not repeated.any():
            return CheckedBoxes(boxes, ~repeated, 0, findings)
    sides = np.array([width, height, width, height], dtype=np.float32)
    clipped = np.clip(boxes, np.float32(0), sides)
    empty = ~np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    usable = np.all(clipped[:, 2:] > clipped[:, :2], axis=1) & ~empty
    labels, ignore = np.array(annotation.labels), np.array(annotation.ignore)
    repeated = find_repeated(np.where(usable[:, None], clipped, 0), labels, ignore)
    outside = ~empty & ~usable
    reach = np.abs(boxes - clipped)
    masks = {
        "box-without-area": empty,
        "box-outside": outside,
        "box-clipped": usable & ~repeated & (reach > _ROUNDING_PX).any(axis=1),
        "box-repeated": repeated,
    }
    for kind, mask in masks.items():
        for index in np.flatnonzero(mask):
            findings.add(kind, image_id, image=annotation.path, box=_as_box(boxes[index]))
    odd = empty | outside | (reach > _FAR_OUT * sides).any(axis=1)
    return CheckedBoxes(clipped, usable & ~repeated, int(odd.sum()), findings)


def _all_usable(boxes: NDArray[np.float32], width: int, height: int) -> bool:
    low, high = boxes[:, :2], boxes[:, 2:]
    if not len(boxes):
        return True
    right, bottom = high.max(axis=0)
    return bool(low.min() >= 0 and right <= width and bottom <= height and (high > low).all())


def check_units(
    annotations: Sequence[Annotation],
    sizes: Sequence[ImageSize],
    order: BoxOrder,
    odd: Sequence[int],
    findings: Findings,
) -> None:
    """Doubt all boxes of a split where many are in another unit, in another order, or out of place.

    Args:
        annotations: the images with boxes.
        sizes: (height, width) of each in pixels.
        order: how the files write a box.
        odd: number of boxes of each image that are empty, reversed or far out of it.
        findings: receives what is found.
    """
    counts = [len(one.boxes) for one in annotations]
    if not sum(counts):
        return
    boxes = np.array([box for one in annotations for box in one.boxes], dtype=np.float64)
    kind, suspect = _in_other_unit(boxes, order)
    if suspect.mean() <= _ODD_UNITS:
        kind, suspect = "boxes-as-corners", _as_corners(boxes, np.repeat(sizes, counts, axis=0), order)
    owners = np.repeat(np.arange(len(counts)), counts)
    for index in np.flatnonzero(suspect):
        one = annotations[owners[index]]
        findings.add(kind, one.image_id, image=one.path, box=_as_box(boxes[index]))
    if not suspect.any() and sum(odd) > _ODD_PLACES * len(boxes):
        for one, count in zip(annotations, odd, strict=True):
            findings.add("boxes-off", one.image_id, count=count, image=one.path)


def _in_other_unit(boxes: NDArray[np.float64], order: BoxOrder) -> tuple[str, NDArray[np.bool_]]:
    """Boxes [n, 4] whose numbers are pixels where shares are meant, or the other way round."""
    largest = np.abs(boxes).max(axis=1)
    if order == "shares":
        return "boxes-in-pixels", largest > _ABOVE_SHARES
    return "boxes-in-shares", largest <= 1


def _as_corners(boxes: NDArray[np.float64], sizes: NDArray[np.int64], order: BoxOrder) -> NDArray[np.bool_]:
    """Boxes that reach out of their image, where x, y, width and height of all would be corners in it."""
    if order != "corner and size":
        return np.zeros(len(boxes), dtype=np.bool_)
    limits = sizes[:, ::-1]  # [n, 2] of width and height
    reach_out = np.any(boxes[:, 2:] > limits + 2 * _ROUNDING_PX, axis=1)
    spans = boxes[:, 2:] - boxes[:, :2]
    are_corners = (spans > boxes[:, :2]) & (spans <= limits + _ROUNDING_PX)
    found: NDArray[np.bool_] = reach_out & bool(are_corners.all() and reach_out.mean() > _ODD_UNITS)
    return found


def _as_box(values: NDArray[np.float32] | NDArray[np.float64]) -> XyxyBox:
    left, top, right, bottom = map(float, values)
    return left, top, right, bottom

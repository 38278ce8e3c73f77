"""Detections of a split, matched with its boxes at IoU .5: hits, false ones, missed boxes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageMatch", "Matches", "match_detections"]

IOU = 0.5
_THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)

Rows = NDArray[np.float32]
"""[n, 7]: image, class, x, y, width, height in pixels, score of a detection or 1 for an ignored box."""


@dataclass(frozen=True, slots=True)
class ImageMatch:
    """One image; boxes are rows of class, x, y, width, height in its pixels, and a score or 1 if ignored.

    Attributes:
        hits: detections [n, 6] of a box, best first.
        false: detections [n, 6] of none.
        found: boxes [n, 6] that a detection hits.
        missed: boxes [n, 6] that none hits.
        ignored: boxes [n, 6] that count neither as found nor as missed.
    """

    hits: Rows
    false: Rows
    found: Rows
    missed: Rows
    ignored: Rows


@dataclass(frozen=True, slots=True)
class Matches:
    """A detector on the images of a split.

    Attributes:
        threshold: score from which a detection is shown: the one with the best F1 on these images.
        precision: share of the shown detections that hit a box.
        recall: share of the boxes that are hit.
        images: one per image.
    """

    threshold: float
    precision: float
    recall: float
    images: tuple[ImageMatch, ...]


def match_detections(record: Path, *, images: int) -> Matches:
    """Match a detector's record of a split at the score threshold of its best F1.

    Detections are taken best first; each hits the box of its class with the largest IoU that is not taken, as
    COCO matches them. One that overlaps an ignored box only counts neither way.

    Args:
        record: file of arrays `found` and `truth`, as `mlflow_nas.tasks.CocoMap.save` writes it.
        images: the first ones are matched: augmented copies follow them.
    """
    with np.load(record) as file:
        found, truth = file["found"], file["truth"]
    pairs = [(_of(found, index), _of(truth, index)) for index in range(images)]
    counts = [_counts(pairs, threshold) for threshold in _THRESHOLDS]
    best = int(np.argmax([2 * hits / max(2 * hits + false + missed, 1) for hits, false, missed in counts]))
    hits, false, missed = counts[best]
    return Matches(
        threshold=float(_THRESHOLDS[best]),
        precision=hits / max(hits + false, 1),
        recall=hits / max(hits + missed, 1),
        images=tuple(_match(*pair, _THRESHOLDS[best]) for pair in pairs),
    )


def _of(rows: Rows, image: int) -> Rows:
    """The rows of one image without its index, best score first."""
    own = rows[rows[:, 0] == image, 1:]
    return own[np.argsort(-own[:, 5], kind="stable")]


def _counts(pairs: Sequence[tuple[Rows, Rows]], threshold: float) -> tuple[int, int, int]:
    matched = [_match(*pair, threshold) for pair in pairs]
    return (
        sum(len(one.hits) for one in matched),
        sum(len(one.false) for one in matched),
        sum(len(one.missed) for one in matched),
    )


def _match(found: Rows, truth: Rows, threshold: float) -> ImageMatch:
    """One image at a threshold."""
    shown = found[found[:, 5] >= threshold]
    ignored, boxes = truth[truth[:, 5] > 0], truth[truth[:, 5] == 0]
    overlap = _iou(shown, boxes)
    beside = _iou(shown, ignored).max(axis=1, initial=0) >= IOU
    taken = np.zeros(len(boxes), bool)
    hit = np.zeros(len(shown), bool)
    for index, own in enumerate(overlap):
        free = np.where(taken, 0, own)
        if free.size and free.max() >= IOU:
            taken[free.argmax()] = hit[index] = True
    return ImageMatch(
        hits=shown[hit],
        false=shown[~hit & ~beside],
        found=boxes[taken],
        missed=boxes[~taken],
        ignored=ignored,
    )


def _iou(first: Rows, second: Rows) -> NDArray[np.float64]:
    """[n, m]; 0 where the classes differ."""
    start = np.maximum(first[:, None, 1:3], second[None, :, 1:3])
    end = np.minimum(first[:, None, 1:3] + first[:, None, 3:5], second[None, :, 1:3] + second[None, :, 3:5])
    shared = np.prod(np.clip(end - start, 0, None), axis=2, dtype=np.float64)
    areas = np.prod(first[:, None, 3:5], axis=2) + np.prod(second[None, :, 3:5], axis=2) - shared
    same = first[:, None, 0] == second[None, :, 0]
    return np.where(same, shared / np.maximum(areas, 1e-9), 0.0)

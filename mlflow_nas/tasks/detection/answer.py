"""Detections from a network's output: boxes and scores of either layout, non-maximum suppression.

Shapes: b batch, h x w cells, N classes (the layout "cells" has no channel of a single class), n boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms, nms

from mlflow_nas.networks import CLASS_POWER, OBJECTNESS_POWER, Layout
from mlflow_nas.space import boxes_of_cells

__all__ = ["Detections", "decode", "describe_output", "image_boxes", "to_boxes"]

IOU_THRESHOLD, MAX_DETECTIONS = 0.45, 100
MAX_CANDIDATES = 3000
"""Of the layout "boxes": the best that enter the suppression; many classes times many boxes are too slow."""


@dataclass(frozen=True, slots=True)
class Detections:
    """The detections of one image, best first.

    Attributes:
        boxes: float32 [n, 4], xyxy, relative to the image; not clipped to it.
        scores: float32 [n].
        labels: int64 [n], index of the class.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def decode(
    output: Tensor,
    *,
    classes: Sequence[int] | None = None,
    score_threshold: float = 0.001,
    iou_threshold: float = IOU_THRESHOLD,
    max_detections: int = MAX_DETECTIONS,
) -> list[Detections]:
    """Boxes of a batch, after non-maximum suppression per image and class.

    Of cells the score is objectness^.6 x class^.4. Boxes are not clipped to the image: the published figures
    were reached without.

    Args:
        output: float32 [b, n, 4 + N] or [b, 5 + N, h, w], as the network's `forward` gives it.
        classes: indexes of the classes to report, which labels then index; None for all. Probabilities of
            cells are those of the softmax over all N.
        score_threshold: lower scores are dropped.
        iou_threshold: of two boxes of one class that overlap more, the worse is dropped.
        max_detections: largest number of boxes per image.

    Returns:
        One `Detections` per image.
    """
    boxes, scores = _of_boxes(output, classes) if output.dim() == 3 else _of_cells(output, classes)
    found = []
    for own_boxes, own_scores in zip(boxes, scores, strict=True):
        label, place = (own_scores > score_threshold).nonzero(as_tuple=True)
        candidates = Detections(own_boxes[place], own_scores[label, place], label)
        if output.dim() == 3:
            candidates = _best(candidates)
        found.append(_suppress(candidates, iou_threshold, max_detections, several=len(own_scores) > 1))
    return found


def to_boxes(output: Tensor) -> Tensor:
    """An output of either layout in the layout "boxes", as a file gives it that decodes by itself.

    Args:
        output: float32 [b, n, 4 + N] or [b, 5 + N, h, w].

    Returns:
        [b, n, 4 + N]; n is h w.
    """
    if output.dim() == 3:
        return output
    boxes, scores = _of_cells(output, None)
    return torch.cat([boxes, scores.transpose(1, 2)], dim=2)


def _of_boxes(output: Tensor, classes: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """[b, n, 4 + N] -> boxes [b, n, 4], scores [b, N, n]."""
    scores = output[..., 4:] if classes is None else output[..., [4 + index for index in classes]]
    return output[..., :4], scores.transpose(1, 2)


def _of_cells(output: Tensor, classes: Sequence[int] | None) -> tuple[Tensor, Tensor]:
    """[b, 5 + N, h, w] -> boxes [b, h w, 4], scores [b, max(N, 1), h w]."""
    boxes = _to_corners(boxes_of_cells(output[:, 1:5]).flatten(2))
    return boxes, _scores_of_cells(output, classes).flatten(2)


def _best(found: Detections) -> Detections:
    chosen = found.scores.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
    return Detections(found.boxes[chosen], found.scores[chosen], found.labels[chosen])


def image_boxes(
    output: NDArray[np.float32], size: tuple[int, int], *, score_threshold: float = 0.3
) -> Detections:
    """Detections in one image, boxes in its own pixels and clipped to it.

    Args:
        output: of the network for this image, float32 [n, 4 + N] or [5 + N, h, w].
        size: (height, width) of the image, pixels.
        score_threshold: lower scores are dropped.
    """
    found = decode(torch.from_numpy(output[np.newaxis]), score_threshold=score_threshold)[0]
    scale = torch.tensor([size[1], size[0]] * 2)
    return Detections(found.boxes.clamp(0, 1) * scale, found.scores, found.labels)


def describe_output(layout: Layout, *, score_threshold: float) -> dict[str, object]:
    """How an application decodes a file's output, as plain values for a manifest.

    Args:
        layout: "boxes" or "cells".
        score_threshold: lower scores are dropped.
    """
    own = _describe_cells(layout.num_classes) if layout.kind == "cells" else _describe_boxes()
    return {
        "task": "detection",
        "dtype": "float32",
        **own,
        "suppression": "non-maximum suppression per class",
        "score_threshold": score_threshold,
        "iou_threshold": IOU_THRESHOLD,
        "max_detections": MAX_DETECTIONS,
    }


def _describe_cells(num_classes: int) -> dict[str, object]:
    """One class has no channel of its own."""
    has_classes = num_classes > 1
    of_class = f" * class^{CLASS_POWER}" if has_classes else ""
    return {
        "layout": "NCHW",
        "channels": ["objectness", "tx", "ty", "tw", "th", *(["class"] * num_classes if has_classes else [])],
        "boxes": "cx = (tanh(tx) + column) / columns, cy = (tanh(ty) + row) / rows, w = sigmoid(tw), "
        "h = sigmoid(th), relative to the image",
        "score": f"objectness^{OBJECTNESS_POWER}{of_class}",
    }


def _describe_boxes() -> dict[str, object]:
    return {
        "layout": "[1, n, 4 + classes]",
        "boxes": "x1, y1, x2, y2, relative to the image",
        "score": "the column of the class",
    }


def _scores_of_cells(output: Tensor, classes: Sequence[int] | None) -> Tensor:
    """[b, 5 + N, h, w] -> [b, max(N, 1), h, w]; one class without a channel counts as certain."""
    objectness = output[:, :1].clamp(min=0) ** OBJECTNESS_POWER
    if output.shape[1] == 5:
        return objectness
    chosen = output[:, 5:] if classes is None else output[:, [5 + index for index in classes]]
    return objectness * chosen**CLASS_POWER


def _suppress(found: Detections, iou_threshold: float, most: int, *, several: bool) -> Detections:
    if several:
        best = batched_nms(found.boxes, found.scores, found.labels, iou_threshold)[:most]
    else:
        best = nms(found.boxes, found.scores, iou_threshold)[:most]
    return Detections(found.boxes[best], found.scores[best], found.labels[best])


def _to_corners(boxes: Tensor) -> Tensor:
    """cx, cy, w, h [b, 4, n] -> x1, y1, x2, y2 [b, n, 4]."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([centre - half, centre + half], dim=1).transpose(1, 2)

"""Detections from a network's output: decoding of cells, scores, non-maximum suppression.

Shapes: b batch, h x w cells, N classes (0 channels of class with one class), n boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms, nms

from mlflow_nas.space import CLASS_POWER, OBJECTNESS_POWER, boxes_of_cells

__all__ = ["Detections", "decode", "describe_output", "image_boxes"]

IOU_THRESHOLD, MAX_DETECTIONS = 0.45, 100


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

    score = objectness^.6 x class^.4. Boxes are not clipped to the image: the published figures were reached
    without.

    Args:
        output: float32 [b, 5 + N, h, w], as the network's `forward` gives it.
        classes: indexes of the classes to report, which labels then index; None for all. Their probabilities
            are those of the softmax over all N.
        score_threshold: lower scores are dropped.
        iou_threshold: of two boxes of one class that overlap more, the worse is dropped.
        max_detections: largest number of boxes per image.

    Returns:
        One `Detections` per image.
    """
    scores = _scores_of_cells(output, classes).flatten(2)  # [b, max(N, 1), h w]
    boxes = _to_corners(boxes_of_cells(output[:, 1:5]).flatten(2))  # [b, h w, 4]
    found = []
    for own_boxes, own_scores in zip(boxes, scores, strict=True):
        label, cell = (own_scores > score_threshold).nonzero(as_tuple=True)
        candidates = Detections(own_boxes[cell], own_scores[label, cell], label)
        found.append(_suppress(candidates, iou_threshold, max_detections, several=len(own_scores) > 1))
    return found


def image_boxes(
    output: NDArray[np.float32], size: tuple[int, int], *, score_threshold: float = 0.3
) -> Detections:
    """Detections in one image, boxes in its own pixels and clipped to it.

    Args:
        output: of the network for this image, float32 [5 + N, h, w].
        size: (height, width) of the image, pixels.
        score_threshold: lower scores are dropped.
    """
    found = decode(torch.from_numpy(output[np.newaxis]), score_threshold=score_threshold)[0]
    scale = torch.tensor([size[1], size[0]] * 2)
    return Detections(found.boxes.clamp(0, 1) * scale, found.scores, found.labels)


def describe_output(num_classes: int, *, score_threshold: float) -> dict[str, object]:
    """How an application decodes a file's output, as plain values for a manifest.

    Args:
        num_classes: of the detector; one class has no channel of its own.
        score_threshold: lower scores are dropped.
    """
    has_classes = num_classes > 1
    of_class = f" * class^{CLASS_POWER}" if has_classes else ""
    return {
        "layout": "NCHW",
        "dtype": "float32",
        "channels": ["objectness", "tx", "ty", "tw", "th", *(["class"] * num_classes if has_classes else [])],
        "boxes": "cx = (tanh(tx) + column) / columns, cy = (tanh(ty) + row) / rows, w = sigmoid(tw), "
        "h = sigmoid(th), relative to the image",
        "score": f"objectness^{OBJECTNESS_POWER}{of_class}",
        "suppression": "non-maximum suppression per class",
        "score_threshold": score_threshold,
        "iou_threshold": IOU_THRESHOLD,
        "max_detections": MAX_DETECTIONS,
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

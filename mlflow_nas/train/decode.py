"""From the network's map of cells to boxes.

Shapes: b batch, h x w cells, N classes (0 channels of class with one class), n boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms, nms

__all__ = ["CLASS_POWER", "OBJECTNESS_POWER", "Detections", "boxes_of_cells", "decode"]

OBJECTNESS_POWER, CLASS_POWER = 0.6, 0.4
"""A box's score is objectness^.6 x class^.4."""


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: float32 [n, 4], xyxy, relative to the image; what reaches beyond it is not cut off.
        scores: float32 [n].
        labels: int64 [n], index of the class.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


def boxes_of_cells(terms: Tensor) -> Tensor:
    """Box terms tx, ty, tw, th [b, 4, h, w] -> boxes [b, 4, h, w] as cx, cy, w, h relative to the image.

    centre = ((tanh(tx) + x) / w, (tanh(ty) + y) / h), size = (sigmoid(tw), sigmoid(th)) for cell (x, y).
    """
    height, width = terms.shape[-2:]
    x = torch.arange(width, device=terms.device, dtype=terms.dtype)
    y = torch.arange(height, device=terms.device, dtype=terms.dtype).unsqueeze(1)
    centre_x = (terms[:, 0].tanh() + x) / width
    centre_y = (terms[:, 1].tanh() + y) / height
    return torch.stack([centre_x, centre_y, terms[:, 2].sigmoid(), terms[:, 3].sigmoid()], dim=1)


def decode(
    output: Tensor,
    *,
    classes: Sequence[int] | None = None,
    score_threshold: float = 0.001,
    iou_threshold: float = 0.45,
    max_detections: int = 100,
) -> list[Detections]:
    """Boxes of a batch, after non-maximum suppression per image and class.

    score = objectness^.6 x class^.4. Boxes are not clipped to the image: the published figures were reached
    without.

    Args:
        output: float32 [b, 5 + N, h, w], as the network's `forward` gives it.
        classes: indexes of the classes to report, which labels then index; None for all. Their probabilities
            stay those of the softmax over all N.
        score_threshold: lower scores are dropped.
        iou_threshold: of two boxes of one class that overlap more, the worse is dropped.
        max_detections: at most so many boxes per image.

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


def _scores_of_cells(output: Tensor, classes: Sequence[int] | None) -> Tensor:
    """[b, 5 + N, h, w] -> [b, max(N, 1), h, w]; one class without a channel counts as certain."""
    objectness = output[:, :1].clamp(min=0) ** OBJECTNESS_POWER
    if output.shape[1] == 5:
        return objectness
    chosen = output[:, 5:] if classes is None else output[:, [5 + index for index in classes]]
    return objectness * chosen**CLASS_POWER


def _suppress(found: Detections, iou_threshold: float, most: int, *, several: bool) -> Detections:
    if several:
        kept = batched_nms(found.boxes, found.scores, found.labels, iou_threshold)[:most]
    else:
        kept = nms(found.boxes, found.scores, iou_threshold)[:most]
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])


def _to_corners(boxes: Tensor) -> Tensor:
    """cx, cy, w, h [b, 4, n] -> x1, y1, x2, y2 [b, n, 4]."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([centre - half, centre + half], dim=1).transpose(1, 2)

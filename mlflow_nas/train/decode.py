"""From the network's map of cells to boxes.

Shapes: b batch, h x w cells, N classes (0 channels of class with one class), n boxes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import batched_nms

__all__ = ["Detections", "boxes_of_cells", "decode"]


@dataclass(frozen=True, slots=True)
class Detections:
    """What was found in one image, best first.

    Attributes:
        boxes: float32 [n, 4], xyxy, relative to the image (0..1).
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


def _scores_of_cells(output: Tensor) -> Tensor:
    """[b, 5 + N, h, w] -> objectness^.6 x class^.4, [b, max(N, 1), h, w]; one class counts as certain."""
    objectness = output[:, :1].clamp(min=0) ** 0.6
    return objectness * output[:, 5:] ** 0.4 if output.shape[1] > 5 else objectness


def decode(
    output: Tensor, *, score_threshold: float = 0.001, iou_threshold: float = 0.45, max_detections: int = 100
) -> list[Detections]:
    """Boxes of a batch, after non-maximum suppression per image and class.

    Args:
        output: float32 [b, 5 + N, h, w], as the network's `forward` gives it.
        score_threshold: lower scores are dropped.
        iou_threshold: of two boxes of one class that overlap more, the worse is dropped.
        max_detections: at most so many boxes per image.

    Returns:
        One `Detections` per image.
    """
    scores = _scores_of_cells(output)
    image, label, row, column = (scores > score_threshold).nonzero(as_tuple=True)
    found = scores[image, label, row, column]
    boxes = _to_corners(boxes_of_cells(output[:, 1:5])[image, :, row, column])
    kept = batched_nms(boxes, found, image * scores.shape[1] + label, iou_threshold)
    image, boxes, found, label = image[kept], boxes[kept], found[kept], label[kept]
    return [
        Detections(*(values[image == index][:max_detections] for values in (boxes, found, label)))
        for index in range(output.shape[0])
    ]


def _to_corners(boxes: Tensor) -> Tensor:
    """cx, cy, w, h [n, 4] -> x1, y1, x2, y2 [n, 4], clipped to the image."""
    half = boxes[:, 2:] / 2
    return torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=1).clamp(0, 1)

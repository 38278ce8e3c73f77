"""FastestDet's loss: 8 box + 16 objectness + class, and which cells are positives of which box.

Shapes: b batch, h x w cells, m targets, p proposals (cell, target), N classes.
A target is (image, class, cx, cy, w, h, ignore), the box relative to the image.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mlflow_nas.space.fastestdet.cells import boxes_of_cells
from mlflow_nas.space.fastestdet.siou import siou

__all__ = ["LossTerms", "detection_loss", "in_single_precision"]


class LossTerms(NamedTuple):
    """The weighted sum that is minimised, and its three terms before weighting (detached)."""

    total: Tensor
    box: Tensor
    objectness: Tensor
    classes: Tensor


class _Proposals(NamedTuple):
    """Cells [p] that may be positives of a box, and the target [p, 7] of each."""

    image: Tensor
    row: Tensor
    column: Tensor
    target: Tensor

    def where(self, keep: Tensor) -> "_Proposals":
        return _Proposals(*(values[keep] for values in self))


def _propose(targets: Tensor, height: int, width: int) -> _Proposals:
    """The four cells around each target's centre: its floor and the next, in both axes, inside the map."""
    steps = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], device=targets.device)
    scale = torch.tensor([width, height], device=targets.device, dtype=targets.dtype)
    corner = (targets[:, 2:4] * scale).floor().long()
    cells = (corner.unsqueeze(0) + steps.unsqueeze(1)).flatten(0, 1)  # [4m, 2] as column, row
    repeated = targets.repeat(4, 1)
    inside = (cells >= 0).all(dim=1) & (cells[:, 0] < width) & (cells[:, 1] < height)
    return _Proposals(repeated[:, 0].long(), cells[:, 1], cells[:, 0], repeated).where(inside)


def in_single_precision(
    raw: tuple[Tensor, Tensor, Tensor | None],
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs as float32, where a network computes in half precision."""
    logits, terms, class_logits = raw
    return logits.float(), terms.float(), None if class_logits is None else class_logits.float()


def detection_loss(raw: tuple[Tensor, Tensor, Tensor | None], targets: Tensor) -> LossTerms:
    """Loss of a batch.

    Positives are the proposals whose SIoU reaches the batch's mean. Unlike the published code, a proposal
    *at* the mean counts, so that a single proposal is not lost and no mean is taken over nothing; the SIoU
    that is the target of the objectness has no gradient; the target of a cell of two boxes is the larger
    value; boxes to ignore (difficult, crowd) are neither positives nor negatives, and nor is any cell inside
    one: a crowd has objects everywhere.

    Args:
        raw: objectness logits [b, 1, h, w], box terms [b, 4, h, w], class logits [b, N, h, w] or None.
        targets: [m, 7]; m may be 0.
    """
    logits, terms, class_logits = in_single_precision(raw)
    objectness = logits[:, 0].sigmoid()
    proposals = _propose(targets, *objectness.shape[1:])
    ignored = proposals.target[:, 6] > 0
    counted = proposals.where(~ignored)
    boxes = boxes_of_cells(terms)[counted.image, :, counted.row, counted.column]
    overlap = siou(boxes, counted.target[:, 2:6])
    positive = overlap >= overlap.detach().mean() if overlap.numel() else overlap > 0
    chosen, overlap = counted.where(positive), overlap[positive]

    box_loss = (1 - overlap).sum() / max(overlap.numel(), 1)
    unknown = _cells_inside(targets[targets[:, 6] > 0], objectness)
    objectness_loss = _objectness_loss(
        objectness, chosen, overlap.detach(), ignored=proposals.where(ignored), unknown=unknown
    )
    class_loss = _class_loss(class_logits, chosen)
    total = 8 * box_loss + 16 * objectness_loss + class_loss
    return LossTerms(total, box_loss.detach(), objectness_loss.detach(), class_loss.detach())


def _cells_inside(targets: Tensor, objectness: Tensor) -> Tensor:
    """Cells [b, h, w] whose points are in a target's box: cell (x, y) has the point (x / w, y / h)."""
    height, width = objectness.shape[1:]
    x = torch.arange(width, device=targets.device) / width
    y = torch.arange(height, device=targets.device) / height
    centre, half = targets[:, 2:4], targets[:, 4:6] / 2
    across = (x - centre[:, :1]).abs() <= half[:, :1]  # [m, w]
    down = (y - centre[:, 1:]).abs() <= half[:, 1:]  # [m, h]
    inside = (down[:, :, None] & across[:, None, :]).to(objectness.dtype)
    return torch.zeros_like(objectness).index_add_(0, targets[:, 0].long(), inside) > 0


def _objectness_loss(
    objectness: Tensor, chosen: _Proposals, overlap: Tensor, *, ignored: _Proposals, unknown: Tensor
) -> Tensor:
    """Smooth L1 over all cells, weighted.

    Of an image's n positives each weighs .25 cells / n, every other cell .75, a cell to ignore nothing.
    """
    wanted = torch.zeros_like(objectness)
    weight = torch.full_like(objectness, 0.75)
    weight[ignored.image, ignored.row, ignored.column] = 0
    weight[unknown] = 0
    if overlap.numel():
        cells = objectness[0].numel()
        per_image = torch.bincount(chosen.image, minlength=objectness.shape[0]).to(weight.dtype)
        place = (chosen.image, chosen.row, chosen.column)
        weight[place] = 0.25 * cells / per_image[chosen.image]
        flat = (chosen.image * objectness.shape[1] + chosen.row) * objectness.shape[2] + chosen.column
        wanted = wanted.flatten().scatter_reduce(0, flat, overlap.clamp(0, 1), "amax").view_as(objectness)
    return (F.smooth_l1_loss(objectness, wanted, reduction="none") * weight).mean()


def _class_loss(logits: Tensor | None, chosen: _Proposals) -> Tensor:
    """Mean negative log likelihood of the chosen cells; zero without a class branch or without positives."""
    if logits is None or chosen.image.numel() == 0:
        return chosen.target.new_zeros(())
    at_cells = logits[chosen.image, :, chosen.row, chosen.column]
    return F.cross_entropy(at_cells, chosen.target[:, 1].long())

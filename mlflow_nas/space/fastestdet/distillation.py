"""Knowledge distillation (arXiv:1503.02531): a FastestDet learns from the boxes and from the seed network.

Every cell of the seed network's map has soft targets: confidence, box and class probabilities. A candidate of
sliced weights recovers in fewer steps with them (docs/results/detector.md has the figures).

Shapes: b batch, H x W input, h x w cells, N classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F
from torch.special import entr

from mlflow_nas.space.fastestdet.cells import boxes_of_cells
from mlflow_nas.space.fastestdet.loss import in_single_precision
from mlflow_nas.space.fastestdet.siou import siou

__all__ = ["TeacherTargets", "distillation_loss"]

_LEAST_OBJECTNESS = 0.05
"""Boxes of cells below this objectness of the seed network are not imitated."""
_LEAST_SHARE = 0.02
"""Of the cells; a batch of 8 images with persons has .02 to .1 by the published detector."""
_EPSILON = 1e-6


class TeacherTargets(NamedTuple):
    """The seed network's soft targets for a batch.

    Attributes:
        objectness: [b, h, w], 0..1.
        boxes: [b, 4, h, w], cx, cy, w, h relative to the image.
        classes: [b, N, h, w], summing to 1 over N; None for one class.
    """

    objectness: Tensor
    boxes: Tensor
    classes: Tensor | None

    def resized(self, size: Sequence[int]) -> "TeacherTargets":
        """The same for a map of h x w cells, each from the nearest."""
        if self.objectness.shape[-2:] == tuple(size):
            return self
        classes = self.classes
        return TeacherTargets(
            objectness=F.interpolate(self.objectness[:, None], size=tuple(size))[:, 0],
            boxes=F.interpolate(self.boxes, size=tuple(size)),
            classes=None if classes is None else F.interpolate(classes, size=tuple(size)),
        )


def distillation_loss(raw: tuple[Tensor, Tensor, Tensor | None], soft: TeacherTargets) -> Tensor:
    """Distance of a candidate from soft targets: objectness + 8 box + class; 0 where both are equal.

    The objectness' divergence (of Kullback and Leibler) is summed over all cells and divided by the
    target's objectness, by a fiftieth of the cells at least: a batch without objects would dominate.
    1 - SIoU and the class' divergence are means over cells, weighted by that objectness.

    Args:
        raw: objectness logits [b, 1, h, w], box terms [b, 4, h, w], class logits [b, N, h, w] or None.
        soft: targets of the same batch; taken from the nearest cells where their map has another size.
    """
    logits, terms, class_logits = in_single_precision(raw)
    objectness, boxes, classes = soft.resized(logits.shape[-2:])
    divergence = F.binary_cross_entropy_with_logits(logits[:, 0], objectness, reduction="sum")
    divergence = divergence - (entr(objectness) + entr(1 - objectness)).sum()
    loss: Tensor = divergence / objectness.sum().clamp(min=_LEAST_SHARE * objectness.numel())
    seen = objectness > _LEAST_OBJECTNESS
    weights = objectness[seen] / objectness[seen].sum().clamp(min=_EPSILON)
    own, wanted = (part.permute(0, 2, 3, 1)[seen] for part in (boxes_of_cells(terms), boxes))
    loss = loss + 8 * ((1 - siou(own, wanted)) * weights).sum()
    if class_logits is not None and classes is not None:
        divergence = F.cross_entropy(class_logits, classes, reduction="none") - entr(classes).sum(dim=1)
        loss = loss + (divergence[seen] * weights).sum()
    return loss

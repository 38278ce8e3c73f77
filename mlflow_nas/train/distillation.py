"""A candidate learns from the boxes and from the seed network: knowledge distillation (arXiv:1503.02531).

Every cell of the seed network's map says more than the boxes do: how sure it is, and of what else. What a
candidate lost by being cut it finds again in fewer steps (docs/results/detector.md has the figures).

Shapes: b batch, H x W input, h x w cells, N classes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.train.decode import CLASS_POWER, OBJECTNESS_POWER, boxes_of_cells
from mlflow_nas.train.siou import siou

__all__ = ["Lesson", "Teacher", "distillation_loss"]

_LEAST_OBJECTNESS = 0.05
"""Boxes of cells in which the seed network sees less are not imitated."""
_EPSILON = 1e-6


class Lesson(NamedTuple):
    """What the seed network says of a batch.

    Attributes:
        objectness: [b, h, w], 0..1.
        boxes: [b, 4, h, w], cx, cy, w, h relative to the image.
        classes: [b, N, h, w], summing to 1 over N; None for one class.
    """

    objectness: Tensor
    boxes: Tensor
    classes: Tensor | None

    def resized(self, size: Sequence[int]) -> "Lesson":
        """The same for a map of h x w cells, each from the nearest."""
        if self.objectness.shape[-2:] == tuple(size):
            return self
        classes = self.classes
        return Lesson(
            objectness=F.interpolate(self.objectness[:, None], size=tuple(size))[:, 0],
            boxes=F.interpolate(self.boxes, size=tuple(size)),
            classes=None if classes is None else F.interpolate(classes, size=tuple(size)),
        )


class Teacher:
    """The seed network, as one to learn from.

    Args:
        network: gives [b, 5 + M, h, w]: objectness, four box terms, probabilities of M classes.
        classes: which of the M the candidate tells apart, in its order; None for all, in the same order.

    Attributes:
        network: the same, in eval mode.
    """

    def __init__(self, network: nn.Module, *, classes: Sequence[int] | None = None) -> None:
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._classes = None if classes is None else list(classes)

    def __call__(self, images: Tensor) -> Lesson:
        """[b, 3, H, W] in 0..1, or what the network's `backbone` takes, to what it says of them.

        Classes left out take their share of the objectness with them, so that scores stay what they were:
        a network of 80 classes sees an object in a hydrant, and no person.
        """
        with torch.no_grad():
            output = self.network(images)
            objectness, boxes, classes = output[:, 0], boxes_of_cells(output[:, 1:5]), output[:, 5:]
            if self._classes is not None and classes.shape[1]:
                classes = classes[:, self._classes]
                share = classes.sum(dim=1, keepdim=True)
                objectness = objectness * share[:, 0] ** (CLASS_POWER / OBJECTNESS_POWER)
                classes = classes / share.clamp(min=_EPSILON)
        return Lesson(objectness, boxes, classes if classes.shape[1] > 1 else None)

    def shares(self, backbone: nn.Module) -> bool:
        """Whether the seed network's `backbone` computes the same: equal weights and statistics."""
        own = getattr(self.network, "backbone", None)
        if own is None or str(own) != str(backbone):
            return False
        pairs = zip(own.state_dict().values(), backbone.state_dict().values(), strict=True)
        return all(torch.equal(one.cpu(), other.cpu()) for one, other in pairs)


def distillation_loss(raw: tuple[Tensor, Tensor, Tensor | None], lesson: Lesson) -> Tensor:
    """How far a candidate is from what it is taught: objectness + 8 box + class.

    The objectness' cross-entropy is summed over all cells and divided by the objectness taught, 1 at least;
    1 - SIoU and the class' cross-entropy are means over cells, weighted by it.

    Args:
        raw: objectness logits [b, 1, h, w], box terms [b, 4, h, w], class logits [b, N, h, w] or None.
        lesson: of the same batch; taken from the nearest cells where its map has another size.
    """
    logits, terms, class_logits = raw
    objectness, boxes, classes = lesson.resized(logits.shape[-2:])
    spread = F.binary_cross_entropy_with_logits(logits[:, 0], objectness, reduction="sum")
    loss = spread / objectness.sum().clamp(min=1)
    seen = objectness > _LEAST_OBJECTNESS
    weights = objectness[seen] / objectness[seen].sum().clamp(min=_EPSILON)
    own, taught = (part.permute(0, 2, 3, 1)[seen] for part in (boxes_of_cells(terms), boxes))
    loss = loss + 8 * ((1 - siou(own, taught)) * weights).sum()
    if class_logits is not None and classes is not None:
        loss = loss + (F.cross_entropy(class_logits, classes, reduction="none")[seen] * weights).sum()
    return loss

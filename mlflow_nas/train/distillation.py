"""Knowledge distillation (arXiv:1503.02531): a candidate learns from the boxes and from the seed network.

Every cell of the seed network's map has soft targets: confidence, box and class probabilities. A candidate of
sliced weights recovers in fewer steps with them (docs/results/detector.md has the figures).

Shapes: b batch, H x W input, h x w cells, N classes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.special import entr

from mlflow_nas.space import CLASS_POWER, OBJECTNESS_POWER, boxes_of_cells, siou, state_digest
from mlflow_nas.train.fusion import fuse_batch_norms

__all__ = ["Teacher", "TeacherTargets", "distillation_loss"]

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


class Teacher:
    """The seed network as a source of soft targets.

    Args:
        network: gives [b, 5 + M, h, w]: objectness, four box terms, probabilities of M classes.
        classes: which of the M are the candidate's classes, in its order; None for all, in the same order.
    """

    def __init__(self, network: nn.Module, *, classes: Sequence[int] | None = None) -> None:
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._fused = fuse_batch_norms(self._network)
        self._classes = None if classes is None else list(classes)

    def __call__(self, images: Tensor) -> TeacherTargets:
        """Soft targets of images [b, 3, H, W] in 0..1, computed on their device.

        The objectness loses the share of the classes that are left out, so that scores are unchanged: for a
        network of 80 classes a hydrant is an object, and no person.
        """
        self._fused.to(images.device)
        return self._targets(images)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        """Itself: a copy of a module, as the average of its weights is one, has the same teacher."""
        return self

    def _targets(self, given: Tensor | tuple[Tensor, ...]) -> TeacherTargets:
        with torch.no_grad():
            output = self._fused(given)
        objectness, boxes, classes = output[:, 0], boxes_of_cells(output[:, 1:5]), output[:, 5:]
        if self._classes is not None and classes.shape[1]:
            classes = classes[:, self._classes]
            share = classes.sum(dim=1, keepdim=True)
            objectness = objectness * share[:, 0] ** (CLASS_POWER / OBJECTNESS_POWER)
            classes = classes / share.clamp(min=_EPSILON)
        return TeacherTargets(objectness, boxes, classes if classes.shape[1] > 1 else None)

    def shares(self, backbone: nn.Module) -> bool:
        """Whether its `backbone` is that one, by structure, weights and statistics."""
        own = getattr(self._network, "backbone", None)
        if type(own) is not type(backbone) or str(own) != str(backbone):
            return False
        pairs = zip(own.state_dict().items(), backbone.state_dict().items(), strict=True)
        return all(one[0] == other[0] and torch.equal(one[1].cpu(), other[1].cpu()) for one, other in pairs)

    def on_features(self, features: tuple[Tensor, ...]) -> TeacherTargets:
        """Soft targets of images of which its `backbone` gave these outputs."""
        backbone = self._fused.to(features[0].device).backbone
        self._fused.backbone = nn.Identity()
        try:
            return self._targets(features)
        finally:
            self._fused.backbone = backbone

    @property
    def identity(self) -> str:
        """Equal for teachers of equal soft targets: digest of the weights, and the classes."""
        return f"{state_digest(self._network.state_dict())} {self._classes}"


def distillation_loss(raw: tuple[Tensor, Tensor, Tensor | None], soft: TeacherTargets) -> Tensor:
    """Distance of a candidate from soft targets: objectness + 8 box + class; 0 where both are equal.

    The objectness' divergence (of Kullback and Leibler) is summed over all cells and divided by the
    target's objectness, by a fiftieth of the cells at least: a batch without objects would dominate.
    1 - SIoU and the class' divergence are means over cells, weighted by that objectness.

    Args:
        raw: objectness logits [b, 1, h, w], box terms [b, 4, h, w], class logits [b, N, h, w] or None.
        soft: targets of the same batch; taken from the nearest cells where their map has another size.
    """
    logits, terms, class_logits = raw
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

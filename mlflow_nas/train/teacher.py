"""The seed network as a teacher (arXiv:1503.02531).

Shapes: b batch, H x W input, h x w cells, M classes of the teacher.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from mlflow_nas.networks import CLASS_POWER, OBJECTNESS_POWER
from mlflow_nas.space import TeacherTargets, boxes_of_cells, part_at, state_digest
from mlflow_nas.train.fusion import fuse_batch_norms

__all__ = ["Soft", "Teacher"]

Soft: TypeAlias = Tensor | TeacherTargets
"""What a network's `distilled_loss` takes: the teacher's outputs; of cells the decoded ones."""

_BOXES, _CELLS = 3, 4
_EPSILON = 1e-6


class Teacher:
    """The seed network as a source of soft targets.

    Args:
        network: of any task; of the layout "cells" it gives objectness, four box terms, probabilities.
        classes: which of the M are the candidate's classes, in its order; None for all, in the same order.
    """

    def __init__(self, network: nn.Module, *, classes: Sequence[int] | None = None) -> None:
        self._network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self._fused = fuse_batch_norms(self._network)
        self._classes = None if classes is None else list(classes)

    def __call__(self, images: Tensor) -> Soft:
        """Soft targets of images [b, 3, H, W] in 0..1, computed on their device.

        The objectness of cells loses the share of the classes that are left out, so that scores are
        unchanged: for a network of 80 classes a hydrant is an object, and no person.
        """
        self._fused.to(images.device)
        return self._targets(images)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Teacher":
        """Itself: a copy of a module, as the average of its weights is one, has the same teacher."""
        return self

    def _targets(self, given: Tensor | tuple[Tensor, ...]) -> Soft:
        with torch.no_grad():
            output: Tensor = self._fused(given)
        if output.dim() == _CELLS:
            return self._of_cells(output)
        if self._classes is None:
            return output
        boxes = 4 if output.dim() == _BOXES else 0
        return output[..., [*range(boxes), *(boxes + index for index in self._classes)]]

    def _of_cells(self, output: Tensor) -> TeacherTargets:
        objectness, boxes, classes = output[:, 0], boxes_of_cells(output[:, 1:5]), output[:, 5:]
        if self._classes is not None and classes.shape[1]:
            classes = classes[:, self._classes]
            share = classes.sum(dim=1, keepdim=True)
            objectness = objectness * share[:, 0] ** (CLASS_POWER / OBJECTNESS_POWER)
            classes = classes / share.clamp(min=_EPSILON)
        return TeacherTargets(objectness, boxes, classes if classes.shape[1] > 1 else None)

    def shares(self, trunk: str, backbone: nn.Module) -> bool:
        """Whether its part at that path is that one, by structure, weights and statistics."""
        own = part_at(self._network, trunk)
        if own is None or type(own) is not type(backbone) or str(own) != str(backbone):
            return False
        pairs = zip(own.state_dict().items(), backbone.state_dict().items(), strict=True)
        return all(one[0] == other[0] and torch.equal(one[1].cpu(), other[1].cpu()) for one, other in pairs)

    def on_features(self, trunk: str, features: tuple[Tensor, ...]) -> Soft:
        """Soft targets of images of which its part at that path gave these outputs."""
        backbone = self._fused.to(features[0].device).get_submodule(trunk)
        self._fused.set_submodule(trunk, nn.Identity())
        try:
            return self._targets(features)
        finally:
            self._fused.set_submodule(trunk, backbone)

    @property
    def identity(self) -> str:
        """Equal for teachers of equal soft targets: digest of the weights, and the classes."""
        return f"{state_digest(self._network.state_dict())} {self._classes}"

"""FastestDet's head: a shared stem and a branch for each output.

Shapes: b batch, h x w cells, C channels, N classes.
"""

import math
from collections.abc import Callable

from torch import Tensor, nn

__all__ = ["DetectionHead"]

PRIOR = 0.1
"""Objectness that a fresh head gives every cell: few cells hold an object (arXiv:1708.02002, section 4.1)."""


class DetectionHead(nn.Module):
    """A shared stem, then a branch each for objectness, box and class.

    With one class the softmax is the constant 1, whose gradient is zero: there is no class branch.

    Args:
        stem: [b, C, h, w] to [b, C, h, w].
        branch: number of outputs to layers that end in a BatchNorm.
        num_classes: number of classes.
    """

    def __init__(self, *, stem: nn.Module, branch: Callable[[int], nn.Sequential], num_classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.objectness = branch(1)
        nn.init.constant_(self.objectness[-1].get_parameter("bias"), math.log(PRIOR / (1 - PRIOR)))
        self.box = branch(4)
        self.classes = branch(num_classes) if num_classes > 1 else None

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """[b, C, h, w] -> objectness logits [b, 1, h, w], box terms [b, 4, h, w], class logits or None."""
        stem = self.stem(features)
        logits = self.classes(stem) if self.classes is not None else None
        return self.objectness(stem), self.box(stem), logits

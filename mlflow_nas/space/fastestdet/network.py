"""FastestDet (github.com/dog-qiuqiu/FastestDet): a one-scale, anchor-free detector.

Shapes: b batch, H x W input, h x w = ceil(H/16) x ceil(W/16) cells, C channels of neck and head, N classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlflow_nas.space.fastestdet.distillation import TeacherTargets, distillation_loss
from mlflow_nas.space.fastestdet.loss import detection_loss
from mlflow_nas.space.fastestdet.neck import merge

__all__ = ["FastestDet"]


class FastestDet(nn.Module):
    """Backbone, neck and head.

    Args:
        backbone: images to features at strides 8, 16 and 32.
        neck: the three, concatenated at stride 16, to [b, C, h, w].
        head: [b, C, h, w] to objectness logits, box terms and class logits (None with one class).
    """

    def __init__(self, *, backbone: nn.Module, neck: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self._order: list[int] = []
        self._shown = 0

    def show(self, order: Sequence[int], count: int) -> None:
        """Give the probabilities of some of its classes; the softmax is still one over all.

        Args:
            order: indexes of all classes of the head, those that are given first.
            count: number of classes that are given.
        """
        self._order, self._shown = list(order), count

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """[b, 3, H, W] in 0..1 -> objectness logits, box terms and class logits before any activation."""
        objectness, box, logits = self._terms(images)
        if logits is not None and self._order:
            logits = logits[:, self._order]
        return objectness, box, logits

    def _terms(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """The head's outputs, classes in its own order."""
        outputs: tuple[Tensor, Tensor, Tensor | None] = self.head(self.neck(merge(*self.backbone(images))))
        return outputs

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] in 0..1 -> [b, 5 + N, h, w]: objectness, four box terms, class probabilities."""
        objectness, box, logits = self._terms(images)
        parts = [torch.sigmoid(objectness), box]
        if logits is not None:
            shares = torch.softmax(logits, dim=1)
            parts.append(shares[:, self._order[: self._shown]] if self._order else shares)
        return torch.cat(parts, dim=1)

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """FastestDet's loss of a batch: images [b, 3, H, W] in 0..1, targets [m, 7]."""
        return detection_loss(self.raw(images), targets).total

    def distilled_loss(self, images: Tensor, targets: Tensor, soft: TeacherTargets, weight: float) -> Tensor:
        """The same, plus the weighted distance from the seed network's soft targets."""
        raw = self.raw(images)
        return detection_loss(raw, targets).total + weight * distillation_loss(raw, soft)

"""FastestDet (github.com/dog-qiuqiu/FastestDet): a one-scale, anchor-free detector.

Shapes: b batch, H x W input, h x w = ceil(H/16) x ceil(W/16) cells, C channels of neck and head, N classes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.space.blocks import depthwise, pointwise

__all__ = ["DetectionHead", "FastestDet", "SppNeck"]

PRIOR = 0.1
"""Objectness that a fresh head gives every cell: few cells hold an object (arXiv:1708.02002, section 4.1)."""


def merge(stride8: Tensor, stride16: Tensor, stride32: Tensor) -> Tensor:
    """Bring three scales to stride 16: [b, 48 + 96 + 192, h, w].

    The published code upsamples by exactly 2, which fails where ceil(W/16) is odd; resizing to the size of
    the middle scale is the same wherever the published code works.
    """
    pooled = F.avg_pool2d(stride8, 3, stride=2, padding=1)
    resized = F.interpolate(stride32, size=stride16.shape[-2:], mode="nearest")
    return torch.cat([pooled, stride16, resized], dim=1)


class SppNeck(nn.Module):
    """1x1 reduction, three chains of one, two and three depthwise convolutions, fusion, residual."""

    def __init__(self, *, inputs: int, channels: int, kernel_size: int, groups: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*pointwise(inputs, channels, groups=groups))
        self.chains = nn.ModuleList(
            nn.Sequential(*[layer for _ in range(depth) for layer in depthwise(channels, kernel_size)])
            for depth in (1, 2, 3)
        )
        self.fuse = nn.Sequential(*pointwise(3 * channels, channels, groups=groups, activation=None))

    def forward(self, features: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, C, h, w]."""
        reduced = self.reduce(features)
        fused: Tensor = self.fuse(torch.cat([chain(reduced) for chain in self.chains], dim=1))
        return F.relu(reduced + fused)


class DetectionHead(nn.Module):
    """A shared stem, then a branch each for objectness, box and class.

    With one class the softmax is the constant 1 and its branch would never get a gradient: there is none.

    Args:
        stem: [b, C, h, w] to [b, C, h, w].
        branch: number of outputs to layers that end in a BatchNorm.
        num_classes: how many classes.
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

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """[b, 3, H, W] in 0..1 -> objectness logits, box terms and class logits before any activation."""
        outputs: tuple[Tensor, Tensor, Tensor | None] = self.head(self.neck(merge(*self.backbone(images))))
        return outputs

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] in 0..1 -> [b, 5 + N, h, w]: objectness, four box terms, class probabilities."""
        objectness, box, logits = self.raw(images)
        parts = [torch.sigmoid(objectness), box]
        if logits is not None:
            parts.append(torch.softmax(logits, dim=1))
        return torch.cat(parts, dim=1)

"""FastestDet's neck: three scales become one.

Shapes: b batch, H x W input, h x w = ceil(H/16) x ceil(W/16) cells, C channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.space.fastestdet.blocks import depthwise, pointwise

__all__ = ["SppNeck", "merge"]


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

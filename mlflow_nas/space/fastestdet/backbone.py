"""ShuffleNetV2 0.5x (arXiv:1807.11164) up to its fourth stage, under torchvision's names."""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torchvision.models import shufflenet_v2_x0_5
from torchvision.models.shufflenetv2 import InvertedResidual

__all__ = ["STAGE_DEPTHS", "STAGE_WIDTHS", "ShuffleNetBackbone"]

STAGE_DEPTHS = (4, 8, 4)
"""Blocks of stage 2, 3 and 4."""

STAGE_WIDTHS = (24, 48, 96)
"""Inner channels of their blocks; a stage's output has twice as many."""


class ShuffleNetBackbone(nn.Module):
    """Features at strides 8, 16 and 32.

    The names of its parameters are those of `torchvision.models.shufflenet_v2_x0_5`, so that published
    ImageNet weights load as they are. `channels` counts the features of all three.

    Args:
        depths: blocks of stage 2, 3 and 4, the first ones of each.
        widths: inner channels of the blocks of each stage; the stage's output keeps its width.
        kernel_sizes: of the depthwise convolutions of each stage.
    """

    def __init__(
        self,
        *,
        depths: Sequence[int] = STAGE_DEPTHS,
        widths: Sequence[int] = STAGE_WIDTHS,
        kernel_sizes: Sequence[int] = (3, 3, 3),
    ) -> None:
        super().__init__()
        whole = shufflenet_v2_x0_5(weights=None)
        self.conv1 = whole.conv1
        self.maxpool = whole.maxpool
        stages = (whole.stage2, whole.stage3, whole.stage4)
        self.stage2, self.stage3, self.stage4 = (
            _shaped(stage[:depth], width=width, kernel_size=kernel_size)
            for stage, depth, width, kernel_size in zip(stages, depths, widths, kernel_sizes, strict=True)
        )
        self.channels = 2 * sum(STAGE_WIDTHS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[b, 3, H, W] -> [b, 48, H/8, W/8], [b, 96, H/16, W/16], [b, 192, H/32, W/32] (rounded up)."""
        stride8 = self.stage2(self.maxpool(self.conv1(images)))
        stride16 = self.stage3(stride8)
        return stride8, stride16, self.stage4(stride16)


def _shaped(stage: nn.Sequential, *, width: int, kernel_size: int) -> nn.Sequential:
    """The stage with that inner width and kernel size; torchvision's own layers where they fit."""
    for block in stage:
        layers = cast("InvertedResidual", block)
        expand, _, _, spatial, _, project = list(layers.branch2)[:6]
        if width != expand.out_channels:
            layers.branch2[0] = nn.Conv2d(expand.in_channels, width, 1, bias=False)
            layers.branch2[1], layers.branch2[4] = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
            layers.branch2[5] = nn.Conv2d(width, project.out_channels, 1, bias=False)
        if (width, kernel_size) != (spatial.out_channels, 3):
            layers.branch2[3] = _depthwise(width, kernel_size, layers.stride)
        if kernel_size != 3 and layers.stride == 2:
            layers.branch1[0] = _depthwise(layers.branch1[0].in_channels, kernel_size, layers.stride)
    return stage


def _depthwise(channels: int, kernel_size: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(
        channels, channels, kernel_size, stride, padding=kernel_size // 2, groups=channels, bias=False
    )

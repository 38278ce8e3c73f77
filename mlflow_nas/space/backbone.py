"""ShuffleNetV2 0.5x (arXiv:1807.11164) up to its fourth stage, under torchvision's names."""

from torch import Tensor, nn
from torchvision.models import shufflenet_v2_x0_5

__all__ = ["BACKBONE_CHANNELS", "ShuffleNetBackbone"]

BACKBONE_CHANNELS = (48, 96, 192)


class ShuffleNetBackbone(nn.Module):
    """Features at strides 8, 16 and 32.

    The names of its parameters are those of `torchvision.models.shufflenet_v2_x0_5`, so that published
    ImageNet weights load as they are. `channels` counts the features of all three.
    """

    def __init__(self) -> None:
        super().__init__()
        whole = shufflenet_v2_x0_5(weights=None)
        self.conv1 = whole.conv1
        self.maxpool = whole.maxpool
        self.stage2 = whole.stage2
        self.stage3 = whole.stage3
        self.stage4 = whole.stage4
        self.channels = sum(BACKBONE_CHANNELS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[b, 3, H, W] -> [b, 48, H/8, W/8], [b, 96, H/16, W/16], [b, 192, H/32, W/32] (rounded up)."""
        stride8 = self.stage2(self.maxpool(self.conv1(images)))
        stride16 = self.stage3(stride8)
        return stride8, stride16, self.stage4(stride16)

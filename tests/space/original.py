"""FastestDet as its authors lay it out: names, the shuffle at the block's start, BGR input.

Shapes: b batch, c channels, h x w cells.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


def _dw_sequence(channels: int, depth: int) -> nn.Sequential:
    layers = [[*_conv(channels, channels, 5, groups=channels), nn.ReLU()] for _ in range(depth)]
    return nn.Sequential(*[layer for block in layers for layer in block])


class ShuffleBlock(nn.Module):
    """One block of the original ShuffleNetV2."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        entering = inputs if stride == 2 else half
        self.branch_main = nn.Sequential(
            *_conv(entering, half, 1),
            nn.ReLU(),
            *_conv(half, half, 3, stride=stride, groups=half),
            *_conv(half, half, 1),
            nn.ReLU(),
        )
        self.branch_proj = (
            nn.Sequential(
                *_conv(inputs, inputs, 3, stride=2, groups=inputs), *_conv(inputs, half, 1), nn.ReLU()
            )
            if stride == 2
            else None
        )

    def forward(self, old: Tensor) -> Tensor:
        """Stride 2: both branches see everything; else even channels pass and odd ones enter."""
        if self.branch_proj is not None:
            return torch.cat((self.branch_proj(old), self.branch_main(old)), 1)
        b, c, h, w = old.shape
        x = old.reshape(b * c // 2, 2, h * w).permute(1, 0, 2).reshape(2, -1, c // 2, h, w)
        return torch.cat((x[0], self.branch_main(x[1])), 1)


class Backbone(nn.Module):
    """Original ShuffleNetV2 0.5x: 4, 8 and 4 blocks of 48, 96 and 192 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(*_conv(3, 24, 3, stride=2), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 24
        for name, blocks, outputs in (("stage2", 4, 48), ("stage3", 8, 96), ("stage4", 4, 192)):
            first = ShuffleBlock(inputs, outputs, 2)
            rest = [ShuffleBlock(outputs, outputs, 1) for _ in range(blocks - 1)]
            setattr(self, name, nn.Sequential(first, *rest))
            inputs = outputs

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features at strides 8, 16 and 32."""
        p1 = self.stage2(self.maxpool(self.first_conv(images)))
        p2 = self.stage3(p1)
        return p1, p2, self.stage4(p2)


class _Conv1x1(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1x1 = nn.Sequential(*_conv(inputs, outputs, 1), nn.ReLU())


class _Spp(nn.Module):
    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.Conv1x1 = _Conv1x1(inputs, channels)
        self.S1, self.S2, self.S3 = (_dw_sequence(channels, depth) for depth in (1, 2, 3))
        self.output = nn.Sequential(*_conv(3 * channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv1x1.conv1x1(x)
        return F.relu(x + self.output(torch.cat((self.S1(x), self.S2(x), self.S3(x)), 1)))


class _Branch(nn.Module):
    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.conv5x5 = nn.Sequential(
            *_conv(channels, channels, 5, groups=channels), nn.ReLU(), *_conv(channels, outputs, 1)
        )


class _Head(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv1x1 = _Conv1x1(channels, channels)
        self.obj_layers = _Branch(channels, 1)
        self.reg_layers = _Branch(channels, 4)
        self.cls_layers = _Branch(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1x1.conv1x1(x)
        obj, reg, cls = (part.conv5x5(x) for part in (self.obj_layers, self.reg_layers, self.cls_layers))
        return torch.cat((obj.sigmoid(), reg, cls.softmax(dim=1)), 1)


class OriginalDetector(nn.Module):
    """The published detector; its input is BGR."""

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.SPP = _Spp(336, 96)
        self.detect_head = _Head(96, classes)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W], BGR in 0..1 -> [b, 5 + N, H/16, W/16]."""
        p1, p2, p3 = self.backbone(images)
        pooled = F.avg_pool2d(p1, 3, 2, 1)
        return self.detect_head(self.SPP(torch.cat((pooled, p2, F.interpolate(p3, scale_factor=2)), 1)))

"""Building blocks of FastestDet's neck and head; activation and normalisation are passed in."""

from collections.abc import Callable

from torch import nn

__all__ = ["Block", "depthwise", "pointwise"]

Block = Callable[[], nn.Module]


def pointwise(
    inputs: int, outputs: int, *, groups: int = 1, activation: Block | None = nn.ReLU
) -> list[nn.Module]:
    """1x1 convolution, BatchNorm and, unless it is None, an activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, 1, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return [*layers, activation()] if activation else layers


def depthwise(channels: int, kernel_size: int, *, activation: Block = nn.ReLU) -> list[nn.Module]:
    """Depthwise k x k convolution of the same size, BatchNorm and an activation."""
    return [
        nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        activation(),
    ]

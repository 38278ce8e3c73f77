"""The demo's space: the detection head of FastestDet (NXP, Embedded Vision Summit 2024)."""

import math

from torch import nn

from mlflow_nas.space.fastestdet.backbone import ShuffleNetBackbone
from mlflow_nas.space.fastestdet.blocks import depthwise, pointwise
from mlflow_nas.space.fastestdet.head import DetectionHead
from mlflow_nas.space.fastestdet.neck import SppNeck
from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.fastestdet.spaces.family import fastestdet_space
from mlflow_nas.space.fastestdet.transfer import slice_weights
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["fastestdet_head", "head_channels", "img_width", "seed_head", "seed_neck"]

_DEPTHWISE = ("neck.chains", "head.objectness", "head.box", "head.classes")
_POINTWISE = ("neck.reduce", "neck.fuse", "head.stem")


def _is_five(kernel_size: int) -> float:
    return float(kernel_size == 5)


def img_width() -> Parameter:
    """The input's width in pixels: every layer costs less in a smaller image.

    Larger ones can be asked for, such as 352, that of the published detector.
    """
    widths, legal = (tuple(range(first, last + 1, 4)) for first, last in ((220, 320), (128, 512)))
    return Parameter(short="w", values=widths, encode=math.log, acts_on=("",), legal=legal)


def head_channels() -> Parameter:
    """Channels of neck and head."""
    return Parameter(short="c", values=tuple(range(24, 97, 8)), encode=math.log, acts_on=("neck", "head"))


def seed_neck(inputs: int, *, channels: int = 96, kernel_size: int = 5, groups: int = 1) -> SppNeck:
    """The seed network's neck."""
    return SppNeck(inputs=inputs, channels=channels, kernel_size=kernel_size, groups=groups)


def seed_head(
    num_classes: int, *, channels: int = 96, kernel_size: int = 5, groups: int = 1
) -> DetectionHead:
    """The seed network's head: a 1x1 convolution, then a depthwise and a 1x1 one for each output."""

    def branch(outputs: int) -> nn.Sequential:
        return nn.Sequential(
            *depthwise(channels, kernel_size), *pointwise(channels, outputs, activation=None)
        )

    stem = nn.Sequential(*pointwise(channels, channels, groups=groups))
    return DetectionHead(stem=stem, branch=branch, num_classes=num_classes)


def _build(architecture: Architecture, num_classes: int) -> FastestDet:
    kernel_size, groups, channels = (
        int(architecture[name]) for name in ("kernel_size", "groups", "channels")
    )
    backbone = ShuffleNetBackbone()
    return FastestDet(
        backbone=backbone,
        neck=seed_neck(backbone.channels, channels=channels, kernel_size=kernel_size, groups=groups),
        head=seed_head(num_classes, channels=channels, kernel_size=kernel_size, groups=groups),
    )


def fastestdet_head() -> SearchSpace:
    """Kernel size, groups and channels of neck and head, and the input width: 2,080 architectures."""
    return fastestdet_space(
        name="fastestdet-head",
        parameters={
            "kernel_size": Parameter(short="k", values=(3, 5), encode=_is_five, acts_on=_DEPTHWISE),
            "groups": Parameter(short="g", values=(1, 2, 4, 8), encode=math.log2, acts_on=_POINTWISE),
            "channels": head_channels(),
            "img_width": img_width(),
        },
        baseline={"kernel_size": 5, "groups": 1, "channels": 96, "img_width": 320},
        build=_build,
        transfer=slice_weights,
    )

"""The demo's space: the detection head of FastestDet (NXP, Embedded Vision Summit 2024)."""

import math

from mlflow_nas.space.backbone import ShuffleNetBackbone
from mlflow_nas.space.inherit import inherit_head
from mlflow_nas.space.network import DetectionHead, FastestDet, SppNeck
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["fastestdet_head", "img_width"]

_DEPTHWISE = ("neck.chains", "head.objectness", "head.box", "head.classes")
_POINTWISE = ("neck.reduce", "neck.fuse", "head.stem")


def _is_five(kernel_size: int) -> float:
    return float(kernel_size == 5)


def img_width() -> Parameter:
    """The input's width in pixels: every layer costs less in a smaller image."""
    return Parameter(short="w", values=tuple(range(220, 321, 4)), encode=math.log, acts_on=("",))


def _build(architecture: Architecture, num_classes: int) -> FastestDet:
    kernel_size, groups, channels = (
        int(architecture[name]) for name in ("kernel_size", "groups", "channels")
    )
    backbone = ShuffleNetBackbone()
    return FastestDet(
        backbone=backbone,
        neck=SppNeck(inputs=backbone.channels, channels=channels, kernel_size=kernel_size, groups=groups),
        head=DetectionHead(
            channels=channels, kernel_size=kernel_size, groups=groups, num_classes=num_classes
        ),
    )


def fastestdet_head() -> SearchSpace:
    """Kernel size, groups and channels of neck and head, and the input width: 2,080 architectures."""
    return SearchSpace(
        name="fastestdet-head",
        parameters={
            "kernel_size": Parameter(short="k", values=(3, 5), encode=_is_five, acts_on=_DEPTHWISE),
            "groups": Parameter(short="g", values=(1, 2, 4, 8), encode=math.log2, acts_on=_POINTWISE),
            "channels": Parameter(
                short="c", values=tuple(range(24, 97, 8)), encode=math.log, acts_on=("neck", "head")
            ),
            "img_width": img_width(),
        },
        baseline={"kernel_size": 5, "groups": 1, "channels": 96, "img_width": 320},
        build=_build,
        inherit=inherit_head,
    )

"""A chain-structured space: depth, width and kernels of the backbone's stages; neck and head are fixed."""

import math

from mlflow_nas.space.fastestdet.backbone import STAGE_DEPTHS, STAGE_WIDTHS, ShuffleNetBackbone
from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.fastestdet.spaces.family import fastestdet_space
from mlflow_nas.space.fastestdet.spaces.head import img_width, seed_head, seed_neck
from mlflow_nas.space.fastestdet.transfer import slice_weights
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["chain"]

_STAGES = (2, 3, 4)
_DEPTHS = ((2, 3, 4), (4, 5, 6, 7, 8), (2, 3, 4))
_WIDTHS = ((8, 16, 24), (16, 32, 48), (32, 64, 96))


def _build(architecture: Architecture, num_classes: int) -> FastestDet:
    depths, widths, kernel_sizes = (
        tuple(int(architecture[f"stage{stage}_{what}"]) for stage in _STAGES)
        for what in ("depth", "width", "kernel")
    )
    backbone = ShuffleNetBackbone(depths=depths, widths=widths, kernel_sizes=kernel_sizes)
    return FastestDet(backbone=backbone, neck=seed_neck(backbone.channels), head=seed_head(num_classes))


def chain() -> SearchSpace:
    """Blocks, inner channels and kernels of each stage, and the input width: 252,720 architectures."""
    parameters: dict[str, Parameter] = {}
    baseline: dict[str, int] = {}
    for index, stage in enumerate(_STAGES):
        acts_on = (f"backbone.stage{stage}",)
        parameters |= {
            f"stage{stage}_depth": Parameter(short=f"s{stage}d", values=_DEPTHS[index], acts_on=acts_on),
            f"stage{stage}_width": Parameter(
                short=f"s{stage}w", values=_WIDTHS[index], encode=math.log, acts_on=acts_on
            ),
            f"stage{stage}_kernel": Parameter(short=f"s{stage}k", values=(3, 5), acts_on=acts_on),
        }
        baseline |= {
            f"stage{stage}_depth": STAGE_DEPTHS[index],
            f"stage{stage}_width": STAGE_WIDTHS[index],
            f"stage{stage}_kernel": 3,
        }
    return fastestdet_space(
        name="chain",
        parameters={**parameters, "img_width": img_width()},
        baseline={**baseline, "img_width": 320},
        build=_build,
        transfer=slice_weights,
    )

"""A multi-branch space: which chains the neck has, their kernels and depths, and how they are fused."""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.space.fastestdet.backbone import ShuffleNetBackbone
from mlflow_nas.space.fastestdet.blocks import depthwise, pointwise
from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.fastestdet.spaces.family import fastestdet_space
from mlflow_nas.space.fastestdet.spaces.head import head_channels, img_width, seed_head
from mlflow_nas.space.fastestdet.transfer import slice_weights
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["multi_branch"]

_BRANCHES = ("branch1", "branch2", "branch3")


class BranchNeck(nn.Module):
    """1x1 reduction, up to three chains of depthwise convolutions, fusion, residual.

    With the three chains of the baseline it is the seed network's neck, under the same names.

    Args:
        inputs: channels of the backbone's features.
        channels: C.
        chains: number of the chain in the seed network to its kernel size and depth.
        fusion: "concat" (1x1 convolution over all chains) or "sum" (1x1 convolution over their sum).
    """

    def __init__(
        self, *, inputs: int, channels: int, chains: dict[int, tuple[int, int]], fusion: str
    ) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*pointwise(inputs, channels))
        self.chains = nn.ModuleDict(
            {
                str(number): nn.Sequential(
                    *[layer for _ in range(depth) for layer in depthwise(channels, kernel_size)]
                )
                for number, (kernel_size, depth) in chains.items()
            }
        )
        self.fuse = self.mix = None
        if chains and fusion == "concat":
            self.fuse = nn.Sequential(*pointwise(len(chains) * channels, channels, activation=None))
        elif chains:
            self.mix = nn.Sequential(*pointwise(channels, channels, activation=None))

    def forward(self, features: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, C, h, w]."""
        reduced: Tensor = self.reduce(features)
        branches = [chain(reduced) for chain in self.chains.values()]
        if self.fuse is not None:
            return F.relu(reduced + self.fuse(torch.cat(branches, dim=1)))
        if self.mix is not None:
            return F.relu(reduced + self.mix(reduce(torch.add, branches)))
        return reduced


def _words(max_depth: int) -> tuple[str, ...]:
    shapes = [f"k{kernel_size}d{depth}" for kernel_size in (3, 5) for depth in range(1, max_depth + 1)]
    return ("none", *shapes)


def _chain(word: str) -> tuple[int, int]:
    """Kernel size and depth of a word such as "k5d2"."""
    kernel_size, _, depth = word.removeprefix("k").partition("d")
    return int(kernel_size), int(depth)


def _build(architecture: Architecture, num_classes: int) -> FastestDet:
    words = [str(architecture[branch]) for branch in _BRANCHES]
    channels = int(architecture["channels"])
    backbone = ShuffleNetBackbone()
    neck = BranchNeck(
        inputs=backbone.channels,
        channels=channels,
        chains={number: _chain(word) for number, word in enumerate(words) if word != "none"},
        fusion=str(architecture["fusion"]),
    )
    return FastestDet(backbone=backbone, neck=neck, head=seed_head(num_classes, channels=channels))


def multi_branch() -> SearchSpace:
    """The neck's branches, their fusion, channels and the input width: 54,600 architectures.

    A branch may be missing or have fewer convolutions or a smaller kernel than the seed network's, so that
    its weights are slices of the seed's. Without any branch the neck is its 1x1 reduction.
    """
    branches = {
        branch: Parameter(short=f"b{depth}", values=_words(depth), acts_on=(f"neck.chains.{depth - 1}",))
        for depth, branch in enumerate(_BRANCHES, start=1)
    }
    return fastestdet_space(
        name="multi-branch",
        parameters={
            **branches,
            "fusion": Parameter(short="f", values=("concat", "sum"), acts_on=("neck.fuse", "neck.mix")),
            "channels": head_channels(),
            "img_width": img_width(),
        },
        baseline={
            **{branch: f"k5d{depth}" for depth, branch in enumerate(_BRANCHES, start=1)},
            "fusion": "concat",
            "channels": 96,
            "img_width": 320,
        },
        build=_build,
        transfer=slice_weights,
    )

"""The detector of FastestDet's authors, under our names and in torchvision's order of channels.

Original ShuffleNetV2 (github.com/megvii-model/ShuffleNet-Series) shuffles at a block's start: even channels
pass, odd ones enter the branch, the output is (passed, branch). torchvision lets the first half pass, the
second half enter, and shuffles the output. Both compute the same once channels are reordered: a channel
enters the branch of the same block in both when it gets the right place where it is made.

Shapes: a stage has C channels, m = C / 2 of which enter each block's branch.
"""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

__all__ = ["COCO_CLASSES", "PUBLISHED_IMG_WIDTH", "from_published"]

PUBLISHED_IMG_WIDTH: Final = 352
"""Pixels; the published detector's input is a square."""

# The published names of neck and head, and the product's.
_PREFIXES: Final = (
    ("SPP.Conv1x1.conv1x1.", "neck.reduce."),
    ("SPP.S1.", "neck.chains.0."),
    ("SPP.S2.", "neck.chains.1."),
    ("SPP.S3.", "neck.chains.2."),
    ("SPP.output.", "neck.fuse."),
    ("detect_head.conv1x1.conv1x1.", "head.stem."),
    ("detect_head.obj_layers.conv5x5.", "head.objectness."),
    ("detect_head.reg_layers.conv5x5.", "head.box."),
    ("detect_head.cls_layers.conv5x5.", "head.classes."),
    ("backbone.first_conv.", "backbone.conv1."),
)
_BRANCHES: Final = ((".branch_proj.", ".branch1."), (".branch_main.", ".branch2."))
_STAGES: Final = ("stage2", "stage3", "stage4")
_MERGE: Final = "neck.reduce.0.weight"

COCO_CLASSES: Final = tuple(
    name
    for name in FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    if name not in {"__background__", "N/A"}
)
"""The classes of the published detector, in the order of its output."""


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under the product's names, whichever of the three layouts it has.

    Args:
        state: the product's own, the published one with torchvision's backbone (RGB input), or the
            published file itself (original backbone, BGR input).

    Raises:
        KeyError: a tensor of the original backbone is missing.
        IndexError: a tensor of the original backbone has too few channels.
    """
    is_original = any(name.startswith("backbone.first_conv.") for name in state)
    renamed = {_rename(name): value for name, value in state.items()}
    return _reordered(renamed) if is_original else renamed


def _rename(name: str) -> str:
    for published, own in _PREFIXES:
        if name.startswith(published):
            return own + name.removeprefix(published)
    for published, own in _BRANCHES:
        name = name.replace(published, own)
    return name


def _reordered(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The original backbone with torchvision's order of channels, for RGB input."""
    converted = dict(state)
    converted["backbone.conv1.0.weight"] = state["backbone.conv1.0.weight"].flip(1)  # BGR -> RGB
    order = torch.arange(state["backbone.conv1.0.weight"].shape[0])
    outputs = []
    for stage in _STAGES:
        order = _reorder_stage(converted, f"backbone.{stage}", order)
        outputs.append(order)
    starts = [0, len(outputs[0]), len(outputs[0]) + len(outputs[1])]
    merged = torch.cat([start + output for start, output in zip(starts, outputs, strict=True)])
    converted[_MERGE] = state[_MERGE][:, merged]
    return converted


def _reorder_stage(state: dict[str, Tensor], stage: str, order: Tensor) -> Tensor:
    """Reorder one stage in place.

    Args:
        state: of the whole detector.
        stage: prefix of the stage's names.
        order: for each input channel in torchvision's order the original channel.

    Returns:
        The same for the stage's output channels.
    """
    blocks = len({name.split(".")[2] for name in state if name.startswith(f"{stage}.")})
    half = state[f"{stage}.0.branch1.2.weight"].shape[0]
    _take(state, f"{stage}.0.branch1", ("0.weight", *_norm(1)), order)
    _take_inputs(state, f"{stage}.0.branch1.2.weight", order)
    _take_inputs(state, f"{stage}.0.branch2.0.weight", order)
    passed = _places(torch.arange(half), blocks - 1, first=0)
    _take(state, f"{stage}.0.branch1", ("2.weight", *_norm(3)), passed)
    for block in range(blocks):
        made = _places(torch.arange(half, 2 * half), blocks - 1 - block, first=1)
        _take(state, f"{stage}.{block}.branch2", ("5.weight", *_norm(6)), made - half)
        order = torch.stack([passed, made], dim=1).flatten()  # torchvision's shuffle of the output
        if block < blocks - 1:
            # In the next block even channels pass, to the first places; odd ones enter the branch.
            passed = order[:half] // 2
            _take_inputs(state, f"{stage}.{block + 1}.branch2.0.weight", order[half:] // 2)
    return order


def _places(originals: Tensor, blocks_left: int, *, first: int) -> Tensor:
    """Original channels [m] in an order in which each enters the branch of the same block in both layouts.

    Args:
        originals: numbers of m channels in the original output.
        blocks_left: blocks that follow in the stage.
        first: torchvision's shuffle brings place i to 2 i + first.
    """
    half = len(originals)
    passes_there = torch.tensor([_passes_original(int(number), blocks_left) for number in originals])
    passes_here = torch.tensor([_passes(2 * place + first, half, blocks_left) for place in range(half)])
    placed = torch.empty_like(originals)
    placed[passes_here.argsort(stable=True)] = originals[passes_there.argsort(stable=True)]
    return placed


def _passes_original(channel: int, blocks_left: int) -> int:
    """How many of the following blocks an original channel passes: an even one becomes its half."""
    passes = 0
    while passes < blocks_left and channel % 2 == 0:
        channel, passes = channel // 2, passes + 1
    return passes


def _passes(place: int, half: int, blocks_left: int) -> int:
    """How many of the following blocks a place in torchvision's output passes: the shuffle doubles it."""
    passes = 0
    while passes < blocks_left and place < half:
        place, passes = 2 * place, passes + 1
    return passes


def _norm(index: int) -> tuple[str, ...]:
    return tuple(f"{index}.{name}" for name in ("weight", "bias", "running_mean", "running_var"))


def _take(state: dict[str, Tensor], branch: str, names: tuple[str, ...], order: Tensor) -> None:
    """Reorder the output channels of tensors of a branch."""
    for name in names:
        state[f"{branch}.{name}"] = state[f"{branch}.{name}"][order]


def _take_inputs(state: dict[str, Tensor], name: str, order: Tensor) -> None:
    """Reorder the input channels of a 1x1 convolution [out, in, 1, 1]."""
    state[name] = state[name][:, order]

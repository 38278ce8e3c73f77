"""The space of a network's slimmer, shorter and smaller versions."""

from collections.abc import Sequence

import torch
from torch import nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space.elastic.groups import Group, Groups, find_groups
from mlflow_nas.space.elastic.slices import resized, slices_of, without_blocks
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.types import Architecture
from mlflow_nas.user_code import describe_error

__all__ = ["elastic"]

_MULTIPLE = 8
"""Channels are multiples of this, as kernels of many processors compute eight at once."""
_EXAMPLE_PX = 224


def elastic(
    model: nn.Module,
    *,
    channels: Sequence[int] = (25, 50, 75, 100),
    depth: Sequence[int] = (100,),
    img_width: Sequence[int] = (_EXAMPLE_PX,),
    task: str = "detection",
    name: str | None = None,
) -> SearchSpace:
    """A space from a network without writing `build`, such as one of torchvision's with its weights.

    Channels are cut per stage, that is per resolution of the maps; the most important ones stay, by their
    BatchNorm scales (arXiv:1708.06519). Residual blocks are left out from the end of their sequence. All
    architectures start from slices of the model's weights, or of the study's seed network's. A last linear
    layer of another number of classes than the data's is replaced.

    Args:
        model: a `networks.Network` that torch.fx can trace; also its weights are used.
        channels: percent of each stage's channels; 100 is one of them.
        depth: percent of the blocks that can be left out; 100 is one of them.
        img_width: the input's width, pixels.
        task: of the network.
        name: of the space; None for that of the model's class.

    Raises:
        ConfigError: the network can't be traced, or nothing of it can be cut.
    """
    groups = _groups_of(model)
    stages = sorted({group.stride for group in groups.every if not group.fixed})
    chosen = {
        **{_stage(stride): _percent(f"c{_letter(place)}", channels) for place, stride in enumerate(stages)},
        **({"depth": _percent("d", depth)} if set(depth) != {100} and groups.blocks else {}),
        "img_width": Parameter(short="w", values=tuple(sorted(img_width))),
    }
    if not stages:
        raise ConfigError(
            f"No channels of {type(model).__name__} can be cut: write a SearchSpace with `build`."
        )
    return SearchSpace(
        name=name or type(model).__name__.lower(),
        task=task,
        parameters=chosen,
        baseline={one: parameter.values[-1] for one, parameter in chosen.items()},
        build=lambda architecture, num_classes: _build(model, groups, architecture, num_classes),
        transfer=lambda seed, candidate: slices_of(seed, candidate, groups),
    )


def _groups_of(model: nn.Module) -> Groups:
    was_training = model.training
    try:
        return find_groups(model, torch.zeros(1, 3, _EXAMPLE_PX, _EXAMPLE_PX))
    except Exception as error:  # torch.fx raises nearly anything
        raise ConfigError(
            f"{type(model).__name__} can't be traced by torch.fx: {describe_error(error)}. Write a "
            "SearchSpace with `build` instead of elastic()."
        ) from error
    finally:
        model.train(was_training)


def _stage(stride: int) -> str:
    """Name of a stage's parameter; the last layers see vectors."""
    return f"channels_s{stride}" if stride else "channels_last"


def _letter(place: int) -> str:
    return chr(ord("a") + place)


def _percent(short: str, values: Sequence[int]) -> Parameter:
    if not all(0 < value <= 100 for value in values):
        raise ConfigError(
            f"elastic() takes percent from 1 to 100, got {tuple(values)}: leave the others out."
        )
    return Parameter(short=short, values=tuple(sorted({*values, 100})))


def _build(model: nn.Module, groups: Groups, architecture: Architecture, num_classes: int) -> nn.Module:
    def count(group: Group) -> int:
        share = int(architecture[_stage(group.stride)]) / 100
        rounded = _MULTIPLE * round(group.channels * share / _MULTIPLE)
        return min(max(rounded, _MULTIPLE), group.channels)

    removed = _removed(groups, int(architecture.get("depth", 100)))
    return _for_classes(without_blocks(resized(model, groups, count), removed), num_classes)


def _removed(groups: Groups, percent: int) -> list[str]:
    """Of each sequence its last blocks."""
    sequences: dict[str, list[str]] = {}
    for path in groups.blocks:
        sequences.setdefault(path.rpartition(".")[0], []).append(path)
    return [path for paths in sequences.values() for path in paths[round(len(paths) * percent / 100) :]]


def _for_classes(network: nn.Module, num_classes: int) -> nn.Module:
    """The network, its last linear layer replaced where it has another number of outputs."""
    linear = [(path, one) for path, one in network.named_modules() if isinstance(one, nn.Linear)]
    if linear and linear[-1][1].out_features != num_classes:
        path, last = linear[-1]
        network.set_submodule(path, nn.Linear(last.in_features, num_classes, bias=last.bias is not None))
    return network

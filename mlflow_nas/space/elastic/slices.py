"""A network with fewer channels or blocks than another, and its weights as slices of that one's."""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from mlflow_nas.space.elastic.groups import Group, Groups

__all__ = ["resized", "slices_of", "without_blocks"]

State = Mapping[str, Tensor]


def resized(network: nn.Module, groups: Groups, count: Callable[[Group], int]) -> nn.Module:
    """A copy in which each free group has fewer channels, the most important ones of the network's own.

    Args:
        network: the largest one.
        groups: of it.
        count: channels of a group.
    """
    made = copy.deepcopy(network)
    state = network.state_dict()
    wanted = {name: list(value.shape) for name, value in state.items()}
    for group in groups.every:
        if not group.fixed:
            for axis in group.axes:
                if axis.tensor in wanted:
                    wanted[axis.tensor][axis.axis] = count(group) * axis.repeat
    for path, module in made.named_modules():
        for name, value in (*module._parameters.items(), *module._buffers.items()):
            full = f"{path}.{name}" if path else name
            if value is not None and list(value.shape) != wanted.get(full, list(value.shape)):
                _replace(module, name, torch.zeros(wanted[full], dtype=value.dtype))
        _set_sizes(module)
    made.load_state_dict(slices_of(state, made.state_dict(), groups))
    return made


def slices_of(seed: State, candidate: State, groups: Groups) -> dict[str, Tensor]:
    """The candidate's first state: of each group the channels of the seed with the largest scales.

    Tensors that the seed lacks, or has in another shape where no group explains it, stay the candidate's.

    Args:
        seed: state of the largest network.
        candidate: of one with fewer channels or blocks.
        groups: of the largest.
    """
    cut: dict[str, list[tuple[int, Tensor]]] = {}
    for group in groups.every:
        for axis in group.axes:
            own = candidate.get(axis.tensor)
            if group.fixed or own is None or axis.tensor not in seed:
                continue
            places = _most_important(group, seed, own.shape[axis.axis] // axis.repeat)
            entries = (places[:, None] * axis.repeat + torch.arange(axis.repeat)).flatten()
            cut.setdefault(axis.tensor, []).append((axis.axis, entries))
    return {name: _cut(seed.get(name), own, cut.get(name, [])) for name, own in candidate.items()}


def without_blocks(network: nn.Module, paths: list[str]) -> nn.Module:
    """A copy in which blocks pass their input on."""
    made = copy.deepcopy(network)
    for path in paths:
        made.set_submodule(path, nn.Identity())
    return made


def _most_important(group: Group, seed: State, count: int) -> Tensor:
    """Ascending places of the channels with the largest scales: |BatchNorm scale|, or L1 norm of weights."""
    scales = [seed[name] for name in sorted(group.scales) if name in seed]
    norms = [value.abs() if value.dim() == 1 else value.abs().flatten(1).sum(dim=1) for value in scales]
    fits = [value / value.mean().clamp(min=1e-12) for value in norms if len(value) == group.channels]
    if not fits:
        return torch.arange(count)
    importance = torch.stack(fits).sum(dim=0)
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def _cut(value: Tensor | None, own: Tensor, cuts: list[tuple[int, Tensor]]) -> Tensor:
    if value is None:
        return own.clone()
    for axis, entries in cuts:
        value = value.index_select(axis, entries)
    return value.clone() if value.shape == own.shape else own.clone()


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    if name in module._parameters:
        module._parameters[name] = nn.Parameter(value)
    else:
        module._buffers[name] = value


def _set_sizes(module: nn.Module) -> None:
    """The numbers that layers keep beside their tensors."""
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1 and module.groups == module.in_channels
        module.out_channels = module.weight.shape[0]
        module.in_channels = module.out_channels if depthwise else module.weight.shape[1] * module.groups
        module.groups = module.out_channels if depthwise else module.groups
    elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
        module.num_features = len(module.running_mean)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape

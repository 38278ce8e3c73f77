"""Which tensors of a network share their channels: found on the graph that torch.fx traces.

A group is a set of axes that are always cut together, as sums, products and depthwise convolutions couple
them (the dependency groups of DepGraph, arXiv:2301.12900). What is not understood keeps its channels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

__all__ = ["Axis", "Group", "Groups", "find_groups"]

_MODULES = (
    nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Sigmoid, nn.LeakyReLU, nn.Identity,
    nn.Dropout, nn.Dropout2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Upsample,
)  # fmt: skip
_FUNCTIONS = frozenset(
    {"relu", "relu_", "relu6", "hardswish", "hardsigmoid", "silu", "gelu", "sigmoid", "dropout", "mean",
     "adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "stochastic_depth", "interpolate", "float", "clone",
     "contiguous"}
)  # fmt: skip
_COUPLING = frozenset({"add", "iadd", "add_", "sub", "mul", "imul", "mul_"})


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a named tensor; each channel of its group is `repeat` entries one after the other."""

    tensor: str
    axis: int
    repeat: int = 1


@dataclass(eq=False)
class Group:
    """Axes that share their channels.

    Attributes:
        channels: their number.
        stride: pixels of the input between two neighbours of the first map that has them; 0 for vectors.
        fixed: never cut: images, outputs, and what is not understood.
        axes: of tensors.
        scales: names of the BatchNorm weights, by which channels are ranked; of convolutions without one.
    """

    channels: int
    stride: int
    fixed: bool = False
    axes: set[Axis] = field(default_factory=set)
    scales: set[str] = field(default_factory=set)
    joined: "Group | None" = None

    @property
    def root(self) -> "Group":
        """The group that it was joined to."""
        return self if self.joined is None else self.joined.root

    def join(self, other: "Group") -> None:
        """Become one group."""
        one, two = self.root, other.root
        if one is two:
            return
        one.axes |= two.axes
        one.scales |= two.scales
        one.fixed = one.fixed or two.fixed or one.channels != two.channels
        two.joined = one


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a network.

    Attributes:
        every: each once.
        blocks: paths of modules that can be left out: children of an `nn.Sequential` after its first one,
            whose output is their input plus something.
    """

    every: tuple[Group, ...]
    blocks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Flow:
    """A node's channels: its group, and the entries of each channel in a flattened tensor."""

    group: Group
    repeat: int = 1


def find_groups(network: nn.Module, images: Tensor) -> Groups:
    """Trace a network in eval mode and follow its channels.

    Raises:
        torch.fx.proxy.TraceError: its forward pass depends on values.
    """
    traced = fx.symbolic_trace(network.eval())
    ShapeProp(traced).propagate(images)
    walk = _Walk(traced, images.shape[-1])
    flows = walk.run()
    every = {flow.group.root for flow in flows.values()}
    blocks = tuple(_residual_blocks(network, traced, flows))
    return Groups(tuple(sorted(every, key=lambda group: sorted(map(str, group.axes)))), blocks)


class _Walk:
    """Follows the channels through the graph, node by node."""

    def __init__(self, traced: fx.GraphModule, width: int) -> None:
        self._traced, self._width = traced, width
        self._modules = dict(traced.named_modules())
        self._flows: dict[fx.Node, _Flow] = {}
        self._seen: dict[Axis, Group] = {}

    def run(self) -> dict[fx.Node, _Flow]:
        """The channels of every node that has some."""
        for node in self._traced.graph.nodes:
            if node.op == "output":
                self._fix(node)
            elif (shape := _shape(node)) is not None:
                self._flows[node] = self._flow(node, shape)
        return self._flows

    def _flow(self, node: fx.Node, shape: torch.Size) -> _Flow:
        if node.op == "placeholder":
            return _Flow(self._fresh(shape, fixed=True))
        inputs = [self._flows[one] for one in node.all_input_nodes if one in self._flows]
        if node.op == "call_module" and len(inputs) == 1:
            return self._through(str(node.target), self._modules[str(node.target)], inputs[0], node, shape)
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        if name in _COUPLING and inputs:
            return self._coupled(inputs)
        if (
            name in _FUNCTIONS
            and len(inputs) == 1
            and shape[1:2] == (inputs[0].group.channels * inputs[0].repeat,)
        ):
            return inputs[0]
        if name == "flatten" and len(inputs) == 1:
            return self._flat(inputs[0], node)
        return self._unknown(node, shape)

    def _through(self, path: str, module: nn.Module, flow: _Flow, node: fx.Node, shape: torch.Size) -> _Flow:
        group = flow.group
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            self._note(Axis(f"{path}.weight", 1), group)
            return self._made(path, module, shape)
        if isinstance(module, nn.Conv2d) and module.groups == module.in_channels == module.out_channels:
            self._own(path, module, group)
            return flow
        if isinstance(module, nn.BatchNorm2d):
            self._own(path, module, group)
            group.root.scales.add(f"{path}.weight")
            return flow
        if isinstance(module, nn.Linear):
            self._note(Axis(f"{path}.weight", 1, flow.repeat), group)
            return self._made(path, module, shape)
        if isinstance(module, nn.Flatten):
            return self._flat(flow, node)
        return flow if isinstance(module, _MODULES) else self._unknown(node, shape)

    def _made(self, path: str, module: nn.Module, shape: torch.Size) -> _Flow:
        group = self._fresh(shape)
        self._own(path, module, group)
        if isinstance(module, nn.Conv2d):
            group.root.scales.add(f"{path}.weight")
        return _Flow(group)

    def _own(self, path: str, module: nn.Module, group: Group) -> None:
        """Every tensor of a module that has the group's channels in front."""
        for name, value in (*module.named_parameters(), *module.named_buffers()):
            if value.dim():
                self._note(Axis(f"{path}.{name}", 0), group)

    def _note(self, axis: Axis, group: Group) -> None:
        known = self._seen.setdefault(axis, group)
        known.join(group)
        known.root.axes.add(axis)

    def _coupled(self, inputs: list[_Flow]) -> _Flow:
        for other in inputs[1:]:
            inputs[0].group.join(other.group)
            if inputs[0].repeat != other.repeat:
                inputs[0].group.root.fixed = True
        return inputs[0]

    def _flat(self, flow: _Flow, node: fx.Node) -> _Flow:
        before = _shape(node.all_input_nodes[0])
        starts = node.kwargs.get("start_dim", node.args[1] if len(node.args) > 1 else 1)
        if before is None or len(before) != 4 or (node.op != "call_module" and starts != 1):
            return self._unknown(node, _shape(node) or torch.Size())
        return _Flow(flow.group, flow.repeat * math.prod(before[2:]))

    def _unknown(self, node: fx.Node, shape: torch.Size) -> _Flow:
        self._fix(node)
        return _Flow(self._fresh(shape, fixed=True))

    def _fix(self, node: fx.Node) -> None:
        for one in node.all_input_nodes:
            if one in self._flows:
                self._flows[one].group.root.fixed = True

    def _fresh(self, shape: torch.Size, *, fixed: bool = False) -> Group:
        stride = self._width // shape[-1] if len(shape) == 4 and shape[-1] > 1 else 0
        return Group(channels=shape[1] if len(shape) > 1 else 1, stride=stride, fixed=fixed)


def _shape(node: fx.Node) -> torch.Size | None:
    meta: Any = node.meta.get("tensor_meta")
    return meta.shape if hasattr(meta, "shape") else None


def _residual_blocks(
    network: nn.Module, traced: fx.GraphModule, flows: dict[fx.Node, _Flow]
) -> Iterator[str]:
    """Children of sequences whose output has the channels and the size of their input, by a sum."""
    for path, module in network.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        for name in list(dict(module.named_children()))[1:]:
            child = f"{path}.{name}" if path else name
            inside = [node for node in traced.graph.nodes if child in _stack(node)]
            outside = {one for node in inside for one in node.all_input_nodes if one not in set(inside)}
            if len(outside) == 1 and inside and inside[-1] in flows:
                first, last = outside.pop(), inside[-1]
                adds = last.op == "call_function" and getattr(last.target, "__name__", "") in {"add", "iadd"}
                reads = any(first in node.all_input_nodes for node in inside if _is_add(node))
                same = first in flows and _shape(first) == _shape(last) and len(inside) > 1
                if same and (adds or reads) and flows[first].group.root is flows[last].group.root:
                    yield child


def _is_add(node: fx.Node) -> bool:
    return node.op == "call_function" and getattr(node.target, "__name__", "") in {"add", "iadd"}


def _stack(node: fx.Node) -> set[str]:
    """Paths of the modules around a node."""
    return {str(entry[0]) for entry in node.meta.get("nn_module_stack", {}).values()}

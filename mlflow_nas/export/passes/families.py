"""The order in which the channels of each tensor are stored.

A family is a set of tensors [1, C, H, W] whose channels have one order, because only channelwise operators
stand between them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from mlflow_nas.export.passes.graph import Graph, attribute
from mlflow_nas.export.passes.selections import Selection, data_inputs, is_moving

__all__ = ["Orders", "find_orders"]

CHANNELWISE = frozenset(
    {
        *("Relu", "Clip", "LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Add", "Sub", "Mul"),
    }
)
_ARITHMETIC = frozenset({"Add", "Sub", "Mul"})

Key = tuple[int, ...]
Limits = list[tuple[str, Sequence[int]]]
Orders = dict[str, NDArray[np.int64]]


class _Families:
    """Sets of tensors that are joined one by one (union-find)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def of(self, tensor: str) -> str:
        """The name of the tensor's family."""
        while (parent := self._parent.get(tensor, tensor)) != tensor:
            tensor = parent
        return tensor

    def join(self, tensors: Sequence[str]) -> None:
        """Make one family of the tensors' families."""
        for other in tensors[1:]:
            self._parent[self.of(other)] = self.of(tensors[0])


def find_orders(graph: Graph, selections: Sequence[Selection], mixed: set[str]) -> Orders:
    """The order of each tensor's channels: position in the new graph to channel of the old one.

    Channels that are read together come together; groups of a grouped convolution stay what they are; tensors
    that other operators read or make keep their order.

    Args:
        graph: the graph.
        selections: of the graph.
        mixed: tensors that keep their order.
    """
    images = [name for name in graph.shapes if graph.channels(name)]
    families = _Families()
    limits = [(name, _each(graph, name)) for name in (*mixed, *graph.inputs, *graph.outputs)]
    for node in graph.nodes:
        if not is_moving(node, graph):
            tied, limited = _constraints(node, graph)
            families.join(tied)
            limits += limited
    keys: defaultdict[str, defaultdict[int, list[Key]]] = defaultdict(lambda: defaultdict(list))
    for name, bins in limits:
        for channel, number in enumerate(bins):
            keys[families.of(name)][channel].append((-1, number))
    for index in reversed(range(len(selections))):
        ranks = _ranks(keys[families.of(selections[index].tensor)], len(selections[index].channels))
        for rank, (source, channel) in zip(ranks, selections[index].channels, strict=True):
            keys[families.of(source)][channel].append((index, rank))
    return _sorted(images, families, keys, graph, {one.tensor: one for one in selections})


def _ranks(keys: Mapping[int, Sequence[Key]], count: int) -> list[int]:
    """The place of each channel's key among the different keys."""
    own = [tuple(keys.get(channel, ())) for channel in range(count)]
    places = {key: place for place, key in enumerate(sorted(set(own)))}
    return [places[key] for key in own]


def _sorted(
    images: Sequence[str],
    families: _Families,
    keys: defaultdict[str, defaultdict[int, list[Key]]],
    graph: Graph,
    selections: dict[str, Selection],
) -> Orders:
    made = {
        name: index
        for index, name in enumerate([*graph.inputs, *(out for node in graph.nodes for out in node.output)])
    }
    orders: Orders = {}
    places: dict[str, dict[int, int]] = {}
    for name in sorted(images, key=lambda image: made.get(image, -1)):
        family = families.of(name)
        if family not in orders:
            count = graph.channels(name)
            last: Sequence[Key] = [(channel,) for channel in range(count)]
            if name in selections:
                last = [
                    (made[source], places[families.of(source)][channel])
                    for source, channel in selections[name].channels
                ]
            order = sorted(range(count), key=lambda one: (keys[family][one], last[one]))
            orders[family] = np.array(order)
            places[family] = {channel: place for place, channel in enumerate(order)}
    return {name: orders[families.of(name)] for name in images}


def _each(graph: Graph, name: str) -> Sequence[int]:
    """Every channel in its place."""
    return range(graph.channels(name))


def _constraints(node: onnx.NodeProto, graph: Graph) -> tuple[list[str], Limits]:
    """The tensors that a node ties together, and those whose channels must stay within numbered groups."""
    tensors = [*data_inputs(node, graph), *node.output]
    fixed = [(name, _each(graph, name)) for name in tensors]
    if node.op_type == "Conv":
        return _of_convolution(node, graph) or ([], fixed)
    if node.op_type not in CHANNELWISE:
        return [], fixed
    constants = [graph.constants[name] for name in node.input if name in graph.constants]
    is_scaled = node.op_type in _ARITHMETIC and any(value.size > 1 for value in constants)
    counts = {graph.channels(name) for name in tensors}
    return ([], fixed) if is_scaled or len(counts) > 1 or 0 in counts else (tensors, [])


def _of_convolution(node: onnx.NodeProto, graph: Graph) -> tuple[list[str], Limits] | None:
    taken, made = node.input[0], node.output[0]
    inputs, outputs = graph.channels(taken), graph.channels(made)
    if not inputs or not outputs or any(name not in graph.constants for name in node.input[1:] if name):
        return None
    groups = attribute(node, "group", 1)
    if groups == inputs == outputs:
        return [taken, made], []
    if groups == 1:
        return [], []
    ends = ((taken, inputs), (made, outputs))
    return [], [(name, [channel // (count // groups) for channel in range(count)]) for name, count in ends]

"""Channel shuffles folded into the weights of the convolutions around them.

A shuffle (reshape, transpose, reshape; arXiv:1707.01083) only says in which order channels are read. The
convolution that makes the channels can write them in the order in which they are read later, and the one that
reads them can take its weights in the order in which they come. Splits of contiguous channels and
concatenations are left.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from mlflow_nas.export.passes.families import Orders, find_orders
from mlflow_nas.export.passes.graph import Graph, attribute
from mlflow_nas.export.passes.selections import Selection, find_selections, is_moving

__all__ = ["fold_shuffles"]

MAX_PIECES = 48
"""Pieces of a tensor, beyond which a transpose is cheaper."""

SPLIT_BY_INPUT = 13
"""The first opset whose Split takes its sizes as an input."""

Piece = tuple[str, int, int]
"""Tensor, first channel, end."""


def fold_shuffles(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the reshapes and transposes of channel shuffles.

    Works for any arrangement of convolutions, channelwise operators, splits and concatenations of tensors
    [1, C, H, W] of known size. A graph without a shuffle, with branches, or whose shuffles would need many
    small pieces is returned as it is.
    """
    graph = Graph(model)
    can_be_read = graph.opset >= SPLIT_BY_INPUT and not graph.has_branches
    if not can_be_read or not any(_is_shuffle(node, graph) for node in graph.nodes):
        return model
    selections, mixed = find_selections(graph)
    orders = find_orders(graph, selections, mixed)
    pieces = {one.tensor: _pieces(one, orders) for one in selections}
    if any(len(found) > MAX_PIECES for found in pieces.values()):
        return model
    for node in graph.nodes:
        if node.op_type == "Conv":
            _reorder_weights(node, graph, orders)
    _replace(graph, pieces)
    return graph.finish()


def _is_shuffle(node: onnx.NodeProto, graph: Graph) -> bool:
    is_transpose = node.op_type == "Transpose" and is_moving(node, graph)
    return is_transpose and len(graph.shapes[node.input[0]]) == 5


def _pieces(selection: Selection, orders: Orders) -> list[Piece]:
    """The contiguous channels of the sources that make a selection, in its new order."""
    found: list[Piece] = []
    for position in orders[selection.tensor]:
        source, channel = selection.channels[position]
        place = int(np.flatnonzero(orders[source] == channel)[0])
        if found and found[-1][0] == source and found[-1][2] == place:
            found[-1] = (source, found[-1][1], place + 1)
        else:
            found.append((source, place, place + 1))
    return found


def _reorder_weights(node: onnx.NodeProto, graph: Graph, orders: Orders) -> None:
    """Rows in the order of the output's channels, columns in that of the input's."""
    rows, columns = orders.get(node.output[0]), orders.get(node.input[0])
    names = [name for name in node.input[1:] if name in graph.constants]
    if rows is None or columns is None or len(names) < len(node.input) - 1:
        return
    weight = graph.constants[names[0]][rows]  # [out, in / groups, kh, kw]
    count, width = weight.shape[:2]
    groups = attribute(node, "group", 1)
    inside = columns.reshape(groups, width) % width
    own = np.repeat(inside, count // groups, axis=0)  # [out, in / groups]
    graph.constants[names[0]] = np.take_along_axis(weight, own[:, :, None, None], axis=1)
    for bias in names[1:]:
        graph.constants[bias] = graph.constants[bias][rows]


def _replace(graph: Graph, pieces: Mapping[str, Sequence[Piece]]) -> None:
    """Make each selection from its pieces instead of by the nodes that moved its values."""
    cuts: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for source, start, end in (piece for found in pieces.values() for piece in found):
        cuts[source].add((start, end))
    parts: dict[Piece, str] = {}
    renamed: dict[str, str] = {}
    nodes: list[onnx.NodeProto] = []
    for name in graph.inputs:
        nodes += _cut(graph, name, sorted(cuts[name]), parts, None)
    for node in graph.nodes:
        nodes.append(node)
        for index, name in enumerate(list(node.output)):
            if name in pieces:
                node.output[index] = f"{name}:moved"
                nodes += _join(graph, name, [parts[piece] for piece in pieces[name]], renamed, node)
            nodes += _cut(graph, name, sorted(cuts[name]), parts, node)
    for node in nodes:
        node.input[:] = [_resolved(name, renamed) for name in node.input]
    graph.nodes = nodes


def _join(
    graph: Graph, name: str, used: Sequence[str], renamed: dict[str, str], place: onnx.NodeProto
) -> list[onnx.NodeProto]:
    """The node that makes a selection of its parts; readers of a selection of one part read the part."""
    if len(used) > 1 or name in graph.outputs:
        return [_beside(place, "Concat", used, [name], axis=1)]
    renamed[name] = used[0]
    return []


def _cut(
    graph: Graph,
    source: str,
    ranges: Sequence[tuple[int, int]],
    parts: dict[Piece, str],
    place: onnx.NodeProto | None,
) -> list[onnx.NodeProto]:
    """The nodes that cut a tensor into its pieces: one Split where they neither overlap nor leave a gap."""
    if not ranges:
        return []
    count = graph.shapes[source][1]
    parts[(source, 0, count)] = source
    inner = [one for one in ranges if one != (0, count)]
    for start, end in inner:
        parts[(source, start, end)] = f"{source}:{start}-{end}"
    names = [parts[(source, start, end)] for start, end in inner]
    if not inner:
        return []
    edges = [0, *(end for _, end in inner)]
    if [start for start, _ in inner] == edges[:-1] and edges[-1] == count:
        sizes = graph.add_constant(f"{source}:sizes", np.diff(edges))
        return [_beside(place, "Split", [source, sizes], names, axis=1)]
    axis = graph.add_constant(f"{source}:axis", np.array([1]))
    return [
        _beside(
            place,
            "Slice",
            [
                source,
                graph.add_constant(f"{name}:start", np.array([start])),
                graph.add_constant(f"{name}:end", np.array([end])),
                axis,
            ],
            [name],
        )
        for name, (start, end) in zip(names, inner, strict=True)
    ]


def _beside(
    place: onnx.NodeProto | None, op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any
) -> onnx.NodeProto:
    """A node in the module of another one."""
    made = helper.make_node(op, inputs, outputs, name=outputs[0], **attributes)
    if place is not None:
        made.metadata_props.extend(place.metadata_props)
    return made


def _resolved(name: str, renamed: Mapping[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name

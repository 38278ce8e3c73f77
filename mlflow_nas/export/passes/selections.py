"""Tensors whose channels are other tensors' channels, only moved."""

from bisect import bisect_right
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from mlflow_nas.export.passes.graph import Graph

__all__ = ["MOVING", "Channel", "Selection", "find_selections"]

MOVING = frozenset({"Reshape", "Transpose", "Split", "Slice", "Concat", "Gather"})
"""Operators that move values and compute none."""

Channel = tuple[str, int]
Labels = NDArray[np.int64]


class Selection(NamedTuple):
    """A tensor [1, C, H, W] that a computing node reads, and the channel of a source that each of its is."""

    tensor: str
    channels: tuple[Channel, ...]


class _Sources:
    """Numbers for all values of all sources, so that moved values tell where they come from."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._starts: list[int] = []
        self._shapes: list[tuple[int, ...]] = []
        self._end = 0

    def label(self, name: str, shape: tuple[int, ...]) -> Labels:
        """Fresh numbers in the source's shape."""
        size = int(np.prod(shape))
        self._names.append(name)
        self._starts.append(self._end)
        self._shapes.append(shape)
        self._end += size
        return np.arange(self._end - size, self._end, dtype=np.int64).reshape(shape)

    def channels(self, labels: Labels) -> tuple[Channel, ...] | None:
        """The source and channel of each channel; None unless all are whole channels of [1, C, H, W]."""
        if labels.ndim != 4 or labels.shape[0] != 1:
            return None
        first, (height, width) = labels[0, :, 0, 0], labels.shape[2:]
        inside = np.arange(height * width).reshape(height, width)
        if not np.array_equal(labels[0], first[:, None, None] + inside):
            return None
        found = [self._channel(int(label), (height, width)) for label in first]
        return None if None in found else tuple(one for one in found if one)

    def _channel(self, label: int, size: tuple[int, int]) -> Channel | None:
        index = bisect_right(self._starts, label) - 1
        shape = self._shapes[index]
        channel, rest = divmod(label - self._starts[index], size[0] * size[1])
        is_whole = len(shape) == 4 and shape[0] == 1 and shape[2:] == size and not rest
        return (self._names[index], channel) if is_whole else None

    def names(self, labels: Labels) -> set[str]:
        """The sources of moved values."""
        return {
            self._names[index] for index in set(np.searchsorted(self._starts, labels.ravel(), "right") - 1)
        }


def find_selections(graph: Graph) -> tuple[list[Selection], set[str]]:
    """Follow the values through the moving nodes.

    Returns:
        The selections in the order of execution, and the tensors that are read in another way: as parts of
        channels, or not as images. A selection is the source of what is moved on from it.
    """
    sources, labels = _Sources(), dict[str, Labels]()
    selections: list[Selection] = []
    mixed: set[str] = set()
    for node in [node for node in graph.nodes if is_moving(node, graph)]:
        for name in data_inputs(node, graph):
            if name not in labels:
                labels[name] = sources.label(name, graph.shapes[name])
        labels |= _moved(node, graph, labels)
        for name in node.output:
            if name not in graph.outputs and all(is_moving(reader, graph) for reader in graph.readers[name]):
                continue
            channels = sources.channels(labels[name])
            if channels is None:
                mixed |= sources.names(labels[name])
            else:
                selections.append(Selection(name, channels))
                labels[name] = sources.label(name, graph.shapes[name])
    return selections, mixed


def data_inputs(node: onnx.NodeProto, graph: Graph) -> list[str]:
    """The inputs that are not constants."""
    return [name for name in node.input if name and name not in graph.constants]


def is_moving(node: onnx.NodeProto, graph: Graph) -> bool:
    """Whether a node only moves values of tensors of known shapes, to constant places."""
    data = data_inputs(node, graph)
    if node.op_type not in MOVING or data != list(node.input)[: len(data)] or not data:
        return False
    if node.op_type == "Concat" and len(data) < len(node.input):
        return False
    known = all(graph.shapes.get(name) and all(graph.shapes[name]) for name in (*data, *node.output))
    return known and (node.op_type == "Concat" or len(data) == 1)


def _moved(node: onnx.NodeProto, graph: Graph, labels: dict[str, Labels]) -> dict[str, Labels]:
    names = list(dict.fromkeys(name for name in node.input if name))
    feed = {name: labels.get(name, graph.constants.get(name)) for name in names}
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in names]
    outputs = [helper.make_tensor_value_info(name, TensorProto.INT64, None) for name in node.output]
    alone = helper.make_model(
        helper.make_graph([node], "alone", inputs, outputs), opset_imports=graph.model.opset_import
    )
    results = ReferenceEvaluator(alone).run(None, feed)
    return dict(zip(node.output, results, strict=True))

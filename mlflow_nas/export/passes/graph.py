"""What the passes share: an ONNX graph with its constants, shapes and readers at hand."""

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper, shape_inference

__all__ = ["Graph", "attribute"]


class Graph:
    """A copy of a model that a pass changes.

    Attributes:
        model: the copy.
        nodes: its nodes, in the order of their execution.
        constants: name of an initializer to its value.
        shapes: name of a tensor to its sizes; absent where unknown, open sizes are 0.
        readers: name of a tensor to the nodes that read it.
        inputs, outputs: names of the graph's own inputs, without initializers, and outputs.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = shape_inference.infer_shapes(model)
        graph = self.model.graph
        self.nodes: list[onnx.NodeProto] = list(graph.node)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.shapes = {
            value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
            for value in (*graph.input, *graph.output, *graph.value_info)
        }
        self.inputs = [value.name for value in graph.input if value.name not in self.constants]
        self.outputs = [value.name for value in graph.output]
        self.readers: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in _reads(node):
                self.readers[name].append(node)

    @property
    def has_branches(self) -> bool:
        """Whether a node holds graphs of its own, which may read any tensor."""
        return any(one.type == onnx.AttributeProto.GRAPH for node in self.nodes for one in node.attribute)

    @property
    def opset(self) -> int:
        """Version of ONNX's own operators."""
        return int(max(one.version for one in self.model.opset_import if one.domain in ("", "ai.onnx")))

    def channels(self, name: str) -> int:
        """Channels of a tensor [1, C, H, W] of known size; 0 for another one."""
        shape = self.shapes.get(name, ())
        return shape[1] if len(shape) == 4 and shape[0] == 1 and all(shape) else 0

    def fresh(self, name: str) -> str:
        """A name that no tensor of the graph has."""
        taken = {*self.constants, *self.shapes, *(out for node in self.nodes for out in node.output)}
        number = 2
        found = name
        while found in taken:
            found, number = f"{name}_{number}", number + 1
        return found

    def add_constant(self, name: str, value: NDArray[Any]) -> str:
        """Add an initializer; returns its name."""
        found = self.fresh(name)
        self.constants[found] = value
        return found

    def finish(self) -> onnx.ModelProto:
        """The model with the changed nodes and constants, without those that nothing reads."""
        wanted = set(self.outputs)
        kept: list[onnx.NodeProto] = []
        for node in reversed(self.nodes):
            if not wanted.isdisjoint(node.output):
                kept.append(node)
                wanted.update(_reads(node))
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(reversed(kept))
        stored = {tensor.name: tensor for tensor in graph.initializer}
        del graph.initializer[:]
        for name in [name for name in self.constants if name in wanted]:
            old, value = stored.get(name), np.ascontiguousarray(self.constants[name])
            same = old is not None and np.array_equal(numpy_helper.to_array(old), value)
            graph.initializer.append(
                old if same and old is not None else numpy_helper.from_array(value, name)
            )
        made = {out for node in kept for out in node.output}
        values = [value for value in graph.value_info if value.name in made]
        del graph.value_info[:]
        graph.value_info.extend(values)
        return self.model


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """The value of a node's attribute."""
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def _reads(node: onnx.NodeProto) -> set[str]:
    """The tensors that a node reads, those in its branches included."""
    inner = (one.g.node for one in node.attribute if one.type == onnx.AttributeProto.GRAPH)
    return {*node.input}.union(*(_reads(own) for nodes in inner for own in nodes))

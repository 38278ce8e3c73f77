"""The last concatenation left to whoever reads the file: each part is an output with a scale of its own."""

from typing import NamedTuple

import onnx
from onnx import helper

from mlflow_nas.export.passes.graph import Graph, attribute

__all__ = ["SplitOutput", "split_output"]


class SplitOutput(NamedTuple):
    """A model whose outputs, concatenated, are the output of another.

    Attributes:
        model: the model.
        axis: along which they are concatenated.
    """

    model: onnx.ModelProto
    axis: int


def split_output(model: onnx.ModelProto) -> SplitOutput:
    """Make the inputs of the last concatenation the outputs, in its order; other models stay as they are.

    Objectness (0..1), raw box terms and classes can't share one int8 scale without detections being lost.
    """
    graph = Graph(model)
    last = next((node for node in graph.nodes if list(node.output) == graph.outputs), None)
    if last is None or last.op_type != "Concat" or not _are_computed(last, graph):
        return SplitOutput(model, 1)
    axis = int(attribute(last, "axis", 1))
    axis += len(graph.shapes[graph.outputs[0]]) if axis < 0 else 0
    kind = graph.model.graph.output[0].type.tensor_type.elem_type
    parts = [helper.make_tensor_value_info(name, kind, graph.shapes[name]) for name in last.input]
    del graph.model.graph.output[:]
    graph.model.graph.output.extend(parts)
    graph.outputs = list(last.input)
    return SplitOutput(graph.finish(), axis)


def _are_computed(last: onnx.NodeProto, graph: Graph) -> bool:
    """Whether its inputs are different tensors of known shapes that nodes compute and nothing else reads."""
    computed = {output for node in graph.nodes for output in node.output}
    return len(set(last.input)) == len(last.input) and all(
        name in computed and all(graph.shapes.get(name, (0,))) and len(graph.readers[name]) == 1
        for name in last.input
    )

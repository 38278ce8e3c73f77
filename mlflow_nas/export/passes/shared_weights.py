"""Weights that several nodes share, copied: one reader each."""

import onnx

from mlflow_nas.export.passes.graph import Graph

__all__ = ["copy_shared_weights"]


def copy_shared_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give each convolution its own weights and bias.

    A head that is applied to several scales shares them. Passes change them for one reader, and ONNX Runtime
    does not open an int8 file with shared ones under `session.x64quantprecision`.
    """
    graph = Graph(model)
    owned: set[str] = set()
    for node in [node for node in graph.nodes if node.op_type == "Conv"]:
        for index, name in enumerate(node.input):
            if name in graph.constants and name in owned:
                node.input[index] = graph.add_constant(name, graph.constants[name])
            owned.add(node.input[index])
    return graph.finish()

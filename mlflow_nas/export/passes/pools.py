"""Average pools as depthwise convolutions, for which int8 kernels are faster."""

import numpy as np
import onnx
from onnx import helper

from mlflow_nas.export.passes.graph import Graph, attribute

__all__ = ["pools_as_convolutions"]

_SAME_IN_BOTH = ("kernel_shape", "strides", "pads")


def pools_as_convolutions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace each average pool by a depthwise convolution with equal weights.

    Pools that divide by another count at the border stay: a convolution has one divisor.
    """
    graph = Graph(model)
    for index, node in enumerate(graph.nodes):
        channels = _channels(node, graph)
        if channels:
            kernel = attribute(node, "kernel_shape")
            weight = np.full((channels, 1, *kernel), 1 / np.prod(kernel), dtype=np.float32)
            inputs = [node.input[0], graph.add_constant(f"{node.name}.weight", weight)]
            convolution = helper.make_node("Conv", inputs, node.output, name=node.name, group=channels)
            convolution.attribute.extend(one for one in node.attribute if one.name in _SAME_IN_BOTH)
            convolution.metadata_props.extend(node.metadata_props)
            graph.nodes[index] = convolution
    return graph.finish()


def _channels(node: onnx.NodeProto, graph: Graph) -> int:
    """Channels of an average pool with one divisor everywhere; 0 for another node."""
    if node.op_type != "AveragePool" or attribute(node, "ceil_mode", 0):
        return 0
    if attribute(node, "auto_pad", b"NOTSET") != b"NOTSET" or any(
        step != 1 for step in attribute(node, "dilations", [])
    ):
        return 0
    has_one_divisor = attribute(node, "count_include_pad", 0) or not any(attribute(node, "pads", []))
    return graph.channels(node.input[0]) if has_one_divisor else 0

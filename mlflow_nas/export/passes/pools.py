"""Average pools as depthwise convolutions, for which int8 kernels are faster."""

import numpy as np
import onnx
from onnx import helper

from mlflow_nas.export.passes.graph import Graph, attribute

__all__ = ["pad_pools", "pools_as_convolutions"]

_SAME_IN_BOTH = ("kernel_shape", "strides", "pads")
_NOT_NEGATIVE = ("Relu", "Sigmoid")


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


def pad_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pad what a max pool reads by explicit zeros, where it reads what is never negative.

    The pool's own padding is minus infinity, which no int8 scale holds. Zeros change no maximum of outputs of
    a ReLU or a sigmoid.
    """
    graph = Graph(model)
    makers = {output: node for node in graph.nodes for output in node.output}
    nodes: list[onnx.NodeProto] = []
    for node in graph.nodes:
        pads = list(attribute(node, "pads", [])) if node.op_type == "MaxPool" else []
        maker = makers.get(node.input[0]) if any(pads) and len(node.output) == 1 else None
        if maker is not None and maker.op_type in _NOT_NEGATIVE:
            padded = graph.fresh(f"{node.name}.padded")
            begin, end = pads[: len(pads) // 2], pads[len(pads) // 2 :]
            sizes = graph.add_constant(f"{padded}.pads", np.array([0, 0, *begin, 0, 0, *end]))
            nodes.append(helper.make_node("Pad", [node.input[0], sizes], [padded], name=f"{padded}/Pad"))
            node.input[0] = padded
            next(one for one in node.attribute if one.name == "pads").ints[:] = [0] * len(pads)
        nodes.append(node)
    graph.nodes = nodes
    return graph.finish()

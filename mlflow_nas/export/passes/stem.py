"""The first convolution's input, padded to four channels: int8 kernels take them four at a time."""

import numpy as np
import onnx
from onnx import helper

from mlflow_nas.export.passes.graph import Graph, attribute

__all__ = ["PADDED", "pad_stem"]

PADDED = "images_rgbx"
"""The tensor of the padded images."""

_RGB, _RGBX = 3, 4


def pad_stem(model: onnx.ModelProto) -> onnx.ModelProto:
    """Pad images [1, 3, H, W] by a channel of zeros where only convolutions read them.

    The convolutions' weights of that channel are 0: what it holds does not matter.
    """
    graph = Graph(model)
    images = graph.inputs[0]
    stems = graph.readers[images]
    if len(graph.inputs) > 1 or graph.channels(images) != _RGB or not stems:
        return model
    if not all(_is_stem(node, graph) for node in stems):
        return model
    padded = graph.fresh(PADDED)
    for node in stems:
        weight = graph.constants[node.input[1]]  # [out, 3, kh, kw]
        wide = np.pad(weight, ((0, 0), (0, _RGBX - _RGB), (0, 0), (0, 0)))
        node.input[:2] = [padded, graph.add_constant(node.input[1], wide)]
    pads = graph.add_constant(f"{padded}.pads", np.array([0, 0, 0, 0, 0, _RGBX - _RGB, 0, 0]))
    graph.nodes.insert(0, helper.make_node("Pad", [images, pads], [padded], name=f"{padded}/Pad"))
    return graph.finish()


def _is_stem(node: onnx.NodeProto, graph: Graph) -> bool:
    return node.op_type == "Conv" and attribute(node, "group", 1) == 1 and node.input[1] in graph.constants

"""A quantized file that takes a camera's bytes instead of floats."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from mlflow_nas.export.passes.graph import Graph
from mlflow_nas.export.passes.stem import PADDED

__all__ = ["BYTE_SCALE", "accept_bytes"]

BYTE_SCALE = np.array(1 / 255, dtype=np.float32)
"""Scale of images as bytes; their zero point is 0."""

_RGB = 3


def accept_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Change the input from float [1, 3, H, W] in 0..1 to uint8 [1, H, W, 4]: RGB and a byte that is ignored.

    The quantization of the images must have the scale 1/255 and the zero point 0: the bytes are then what it
    would make of them, and the outputs stay the same. After `pad_stem` nothing copies the image.

    Args:
        model: a quantized model (QDQ) of images [1, 3, H, W].
    """
    graph = Graph(model)
    images = graph.inputs[0]
    _, _, height, width = graph.shapes[images]
    planes, padded = graph.fresh(f"{images}_planes"), _quantized(graph, PADDED)
    added = [helper.make_node("Transpose", [images], [planes], name=f"{planes}/Transpose", perm=[0, 3, 1, 2])]
    if padded:
        renamed = {padded: planes}
    else:
        rgb = graph.fresh(f"{images}_rgb")
        bounds = [graph.add_constant(f"{rgb}.{name}", np.array([value])) for name, value in _SLICE.items()]
        added.append(helper.make_node("Slice", [planes, *bounds], [rgb], name=f"{rgb}/Slice"))
        quantized = _quantized(graph, images)
        scales = [graph.add_constant(f"{rgb}.scale", BYTE_SCALE)]
        scales.append(graph.add_constant(f"{rgb}.zero_point", np.array(0, dtype=np.uint8)))
        floats = graph.fresh(f"{rgb}_floats")
        added.append(
            helper.make_node("DequantizeLinear", [rgb, *scales], [floats], name=f"{floats}/DequantizeLinear")
        )
        renamed = {images: floats} | ({quantized: rgb} if quantized else {})
    for node in graph.nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    graph.nodes = [*added, *graph.nodes]
    changed = graph.finish()
    kept = [value for value in changed.graph.input if value.name != images]
    del changed.graph.input[:]
    wanted = helper.make_tensor_value_info(images, TensorProto.UINT8, [1, height, width, _RGB + 1])
    changed.graph.input.extend([wanted, *kept])
    return changed


_SLICE = {"start": 0, "end": _RGB, "axis": 1}


def _quantized(graph: Graph, tensor: str) -> str | None:
    """The output of the node that quantizes a tensor."""
    found = [node.output[0] for node in graph.readers[tensor] if node.op_type == "QuantizeLinear"]
    return found[0] if found else None

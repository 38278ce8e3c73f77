"""FLOPs of the nodes of an ONNX file, and the bytes of their weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
from onnx import numpy_helper, shape_inference

from mlflow_nas.export.model_files import read_model
from mlflow_nas.export.naming import module_scope

__all__ = ["node_costs", "node_modules"]

Shapes = Mapping[str, Sequence[int]]


def _convolution(node: onnx.NodeProto, shapes: Shapes, weight: Sequence[int]) -> int:
    return math.prod(shapes[node.output[0]]) * math.prod(weight[1:])


def _transposed(node: onnx.NodeProto, shapes: Shapes, weight: Sequence[int]) -> int:
    return math.prod(shapes[node.input[0]]) * math.prod(weight[1:])


def _product(node: onnx.NodeProto, shapes: Shapes, weight: Sequence[int]) -> int:
    transposed = any(entry.name == "transB" and entry.i for entry in node.attribute)
    return math.prod(shapes[node.output[0]]) * (weight[-1] if transposed else weight[-2])


_MACS: Mapping[str, tuple[int, Callable[[onnx.NodeProto, Shapes, Sequence[int]], int]]] = {
    "Conv": (1, _convolution),
    "QLinearConv": (3, _convolution),
    "ConvInteger": (1, _convolution),
    "ConvTranspose": (1, _transposed),
    "Gemm": (1, _product),
    "MatMul": (1, _product),
    "MatMulInteger": (1, _product),
    "QLinearMatMul": (3, _product),
}
"""Operator to the place of its weights among its inputs, and its multiply-accumulates."""


def node_costs(path: Path) -> dict[str, tuple[str, str, int, int]]:
    """The weighted nodes in the file's order: name to name, operator, FLOPs and bytes of weights.

    A multiply-accumulate is two FLOPs.

    The consumers of their outputs are listed too, under their names and the tensor's: ONNX Runtime names a
    fused node after the last node, or after a tensor. Nodes of shapes that can't be inferred are absent.

    Args:
        path: any ONNX file with fixed input shapes.

    Raises:
        ConfigError: the file is missing or no ONNX model.
    """
    model = read_model(path)
    graph = shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in values}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    shapes |= {name: list(tensor.dims) for name, tensor in weights.items()}
    makers = {output: node for node in graph.node for output in node.output}
    costs: dict[str, tuple[str, str, int, int]] = {}
    for node in graph.node:
        cost = _cost(node, shapes, weights, makers)
        if cost is None and node.input:
            cost = costs.get(node.input[0])  # fused into what it takes
        if cost is not None:
            costs |= dict.fromkeys((node.name, *node.output), cost)
    return costs


def node_modules(path: Path) -> dict[str, str]:
    """Path of the torch module of each node, by the node's name and its outputs' names.

    torch's exporter gives nodes short names and writes the modules around them into their metadata. Nodes
    without it are absent.

    Raises:
        ConfigError: the file is missing or no ONNX model.
    """
    found: dict[str, str] = {}
    for node in read_model(path).graph.node:
        if module := module_scope(node):
            found |= dict.fromkeys((node.name, *node.output), module)
    return found


def _cost(
    node: onnx.NodeProto,
    shapes: Shapes,
    weights: Mapping[str, onnx.TensorProto],
    makers: Mapping[str, onnx.NodeProto],
) -> tuple[str, str, int, int] | None:
    if node.op_type not in _MACS:
        return None
    place, macs = _MACS[node.op_type]
    name = node.input[place]
    while name not in weights and name in makers and makers[name].op_type == "DequantizeLinear":
        name = makers[name].input[0]
    shape = shapes.get(name)
    if not shape or not all((*shape, *shapes.get(node.output[0], [0]), *shapes.get(node.input[0], [0]))):
        return None
    size = numpy_helper.to_array(weights[name]).nbytes if name in weights else 0
    return node.name or node.output[0], node.op_type, 2 * macs(node, shapes, shape), size

"""FastestDet's map of cells, decoded to boxes and scores in the file: all but non-maximum suppression."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from mlflow_nas.export.passes.graph import Graph
from mlflow_nas.networks import CLASS_POWER, OBJECTNESS_POWER, read_layout

__all__ = ["decode_cells"]

_PREFIX = "decode"
_CHANNELS_LAST = [0, 2, 1]


def decode_cells(model: onnx.ModelProto) -> onnx.ModelProto:
    """Change the output from cells [1, 5 + N, h, w] to boxes [1, h w, 4 + N].

    A row is x1, y1, x2, y2 relative to the image and a score per class, as `networks.LayoutKind` says. The
    nodes come after the last layer with weights: quantization leaves them in float. A model whose single
    output is no map of cells stays as it is.
    """
    graph = Graph(model)
    output = graph.model.graph.output[0]
    shape = graph.shapes[output.name]
    layout = read_layout(shape)
    if layout is None or layout.kind != "cells" or len(graph.outputs) > 1 or not all(shape):
        return model
    cells = _Cells(graph, output.name, shape)
    graph.nodes += cells.decoded()
    changed = graph.finish()
    boxes = helper.make_tensor_value_info(
        output.name, TensorProto.FLOAT, [1, shape[2] * shape[3], 4 + layout.num_classes]
    )
    del changed.graph.output[:]
    changed.graph.output.append(boxes)
    return changed


class _Cells:
    """The nodes that decode an output [1, 5 + N, h, w].

    Args:
        graph: whose output is renamed; its name is then that of the boxes.
        output: its name.
        shape: its sizes.
    """

    def __init__(self, graph: Graph, output: str, shape: tuple[int, ...]) -> None:
        self._graph, self._output = graph, output
        _, self._channels, self._height, self._width = shape
        self._nodes: list[onnx.NodeProto] = []
        self._cells = graph.fresh(f"{output}_cells")
        for node in graph.nodes:
            node.input[:] = [self._cells if name == output else name for name in node.input]
            node.output[:] = [self._cells if name == output else name for name in node.output]

    def decoded(self) -> list[onnx.NodeProto]:
        """The nodes, in the order of their execution."""
        count = self._height * self._width
        flat = self._add("Reshape", self._cells, self._constant("flat", [1, self._channels, count], "i8"))
        rows = self._add("Transpose", flat, perm=_CHANNELS_LAST)  # [1, h w, 5 + N]
        sizes = [1, 2, 2, *([self._channels - 5] if self._channels > 5 else [])]
        objectness, centre, side, *classes = self._split(rows, sizes)
        corners = self._corners(centre, side)
        # Log and Exp take .6 of the time of Pow in ONNX Runtime; Log(0) is -inf, of which Exp is 0.
        exponent = self._logarithm(self._add("Relu", objectness), OBJECTNESS_POWER)
        if classes:  # a single class has no channel
            exponent = self._add("Add", exponent, self._logarithm(classes[0], CLASS_POWER))
        self._add("Concat", *corners, self._add("Exp", exponent), axis=2)
        self._nodes[-1].output[:] = [self._output]
        return self._nodes

    def _corners(self, centre: str, side: str) -> tuple[str, str]:
        """Terms [1, h w, 2] of centre and size -> x1, y1 and x2, y2 [1, h w, 2] relative to the image."""
        size = np.array([self._width, self._height])
        grid = np.stack(np.meshgrid(np.arange(self._width), np.arange(self._height)), axis=-1)  # [h, w, 2]
        columns_rows = self._constant("grid", grid.reshape(1, -1, 2))
        moved = self._add("Add", self._add("Tanh", centre), columns_rows)
        middle = self._add("Div", moved, self._constant("size", size))
        half = self._add("Mul", self._add("Sigmoid", side), self._constant("half", 0.5))
        return self._add("Sub", middle, half), self._add("Add", middle, half)

    def _logarithm(self, base: str, power: float) -> str:
        return self._add("Mul", self._add("Log", base), self._constant("power", power))

    def _split(self, rows: str, sizes: list[int]) -> list[str]:
        names = [self._graph.fresh(f"{_PREFIX}/part_{index}") for index in range(len(sizes))]
        inputs = [rows, self._constant("sizes", sizes, "i8")]
        self._nodes.append(helper.make_node("Split", inputs, names, name=f"{_PREFIX}/Split", axis=2))
        return names

    def _constant(self, name: str, value: object, dtype: str = "f4") -> str:
        return self._graph.add_constant(f"{_PREFIX}.{name}", np.asarray(value, dtype=dtype))

    def _add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append a node; the name of its output."""
        name = f"{_PREFIX}/{op}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

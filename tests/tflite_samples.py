"""Small TFLite files, built operator by operator without a converter."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from mlflow_nas.runtime.litert import append_description
from mlflow_nas.types import INT8_NHWC_RGB

__all__ = ["TfliteNet", "write_detector"]

_KINDS = {np.dtype("f4"): 0, np.dtype("i4"): 2, np.dtype("i1"): 9}  # numbers of schema.TensorType


class TfliteNet:
    """A graph with one subgraph and the signature "serving_default"."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        kind: str = "f4",
        *,
        value: NDArray[Any] | None = None,
        scale: float | None = None,
        zero_point: int = 0,
    ) -> int:
        """Add a tensor, a constant where it has a value; its index."""
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), _KINDS[np.dtype(kind)], 0
        if value is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(value.astype(kind).tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            made.buffer = len(self.model.buffers) - 1
        if scale is not None:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [scale], [zero_point]
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def add(self, code: int, inputs: list[int], outputs: list[int], options: Any = None) -> None:
        """Add an operator with its options."""
        codes = [one.builtinCode for one in self.model.operatorCodes]
        if code not in codes:
            made = schema.OperatorCodeT()
            made.builtinCode, made.deprecatedBuiltinCode, made.version = code, min(code, 127), 1
            self.model.operatorCodes.append(made)
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = codes.index(code), inputs, outputs
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        self.graph.operators.append(operator)

    def content(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def write_detector(path: Path, *, size: int = 32, **description: Any) -> Path:
    """An int8 file of images [1, size, size, 3]: objectness and box terms as two outputs.

    Both are average pools of the image, over 16 x 16 pixels: the objectness [1, s, s, 1] of channel 0, the
    terms [1, s, s, 4] of the channels 0, 1, 2, 0.

    Args:
        path: of the file.
        size: of the image, pixels.
        description: further entries of the file's description.
    """
    net, cells = TfliteNet(), size // 16
    quantized = {"scale": 1 / 255, "zero_point": -128}
    image = net.tensor("images", (1, size, size, 3), "i1", **quantized)
    pooled = net.tensor("pooled", (1, cells, cells, 3), "i1", **quantized)
    pool = schema.Pool2DOptionsT()
    pool.filterWidth = pool.filterHeight = pool.strideW = pool.strideH = 16
    net.add(schema.BuiltinOperator.AVERAGE_POOL_2D, [image], [pooled], pool)
    first = net.tensor("objectness", (1, cells, cells, 1), "i1", **quantized)
    begin = net.tensor("begin", (4,), "i4", value=np.zeros(4))
    extent = net.tensor("extent", (4,), "i4", value=np.array([1, cells, cells, 1]))
    net.add(schema.BuiltinOperator.SLICE, [pooled, begin, extent], [first], schema.SliceOptionsT())
    terms = net.tensor("box", (1, cells, cells, 4), "i1", **quantized)
    joined = schema.ConcatenationOptionsT()
    joined.axis = 3
    net.add(schema.BuiltinOperator.CONCATENATION, [pooled, first], [terms], joined)
    path.write_bytes(net.content([image], [first, terms]))
    metadata = {
        "mlflow_nas.input": INT8_NHWC_RGB,
        "mlflow_nas.precision": "int8",
        "mlflow_nas.classes": '["person"]',
    }
    parts = [{"name": name, "layout": "NHWC"} for name in ("objectness", "box")]
    output = {"name": "detections", "parts": parts, "axis": 1}
    append_description(path, {"metadata": metadata, "output": output, **description})
    return path

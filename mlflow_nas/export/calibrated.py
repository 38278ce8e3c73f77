"""A float graph with the ranges of its tensors: calibrated once, quantized in several ways."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from mlflow_nas.export.model_files import INPUT
from mlflow_nas.export.passes import (
    BYTE_SCALE,
    PADDED,
    copy_shared_weights,
    fold_shuffles,
    pad_stem,
    pools_as_convolutions,
)
from mlflow_nas.types import UINT8_NHWC_RGBX, InputContract

__all__ = ["CalibratedModel", "CalibrationImages", "Quantization", "is_detector"]

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Operators with weights."""

_METHODS = {
    "moving-average": (CalibrationMethod.MinMax, {"CalibMovingAverage": True}),
    "min-max": (CalibrationMethod.MinMax, {}),
    "percentile": (CalibrationMethod.Percentile, {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Options of the quantization; the defaults are those of the shipped file.

    Attributes:
        float_tail: leave the last sigmoid, softmax and concat, after the last weighted layers, in float.
        float_modules: module paths whose nodes stay in float as well.
        method: how a tensor's range is found from the calibration images: the average of their smallest and
            of their largest values, the extremes of all, or percentiles of all.
        input: what the int8 file takes.
        passes: change the graph so that int8 runs faster; without them the file takes floats.
    """

    float_tail: bool = True
    float_modules: tuple[str, ...] = ()
    method: Literal["moving-average", "min-max", "percentile"] = "moving-average"
    input: InputContract = UINT8_NHWC_RGBX
    passes: bool = True


class CalibrationImages(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """The calibration images, one by one, as ONNX Runtime reads them."""

    def __init__(self, input_name: str, images: NDArray[np.float32]) -> None:
        self._input_name = input_name
        self._left: Iterator[NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next image as [1, 3, H, W], or None after the last."""
        image = next(self._left, None)
        return None if image is None else {self._input_name: image[np.newaxis]}


class CalibratedModel:
    """A float model after the graph passes; its ranges are found at the first quantization and kept.

    Args:
        source: the float model, which takes float32 [1, 3, H, W].
        calibration: float32 [n, 3, H, W] in 0..1, images of the training split.
        choices: options of the quantization.
        folder: of the ranges and of temporary files; it must outlive the object.

    Attributes:
        model: the float model that is quantized; it computes what the source does.
        layers: names of its nodes with weights that are quantized, in the order of their execution.
    """

    def __init__(
        self,
        source: onnx.ModelProto,
        calibration: NDArray[np.float32],
        choices: Quantization,
        folder: Path,
    ) -> None:
        pads_stem = is_detector(source, choices)
        self._input, self._calibration = source.graph.input[0].name, calibration
        self._method, self._settings = _METHODS[choices.method]
        self._folder = folder
        self._pinned = (self._input, PADDED) if pads_stem else ()
        source = pad_stem(source) if pads_stem else source
        if choices.passes:
            source = pools_as_convolutions(fold_shuffles(copy_shared_weights(source)))
        # The exporter has folded and inferred what ONNX Runtime's pre-processing would; this mark
        # keeps ONNX Runtime from advising it in the log. The pre-processing itself would rename nodes.
        add_pre_process_metadata(source)
        self.model = source
        self._float_nodes = _float_nodes(source.graph, choices)
        floats = set(self._float_nodes)
        self.layers = [
            node.name for node in source.graph.node if node.op_type in _WEIGHTED and node.name not in floats
        ]

    def write(self, path: Path, *, only: Collection[str] = ()) -> Path:
        """Write `quantized`, a file that takes floats, for comparison."""
        onnx.save(self.quantized(only=only), path)
        return path

    def quantized(self, *, only: Collection[str] = (), in_float: Collection[str] = ()) -> onnx.ModelProto:
        """The model with per-channel int8 weights and uint8 activations, as QuantizeLinear/DequantizeLinear.

        Args:
            only: names of the nodes that are quantized; empty for all.
            in_float: names of nodes that stay in float, beside those of the options.
        """
        path = self._folder / "int8.onnx"
        bytes_in = {"scale": BYTE_SCALE, "zero_point": np.array(0, dtype=np.uint8)}
        quantize_static(
            onnx.ModelProto.FromString(self.model.SerializeToString()),
            path,
            CalibrationImages(self._input, self._calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # On x86 int8 activations take twice as long; on arm64 kernels both take the same.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=self._method,
            calibration_cache_path=self._folder / "ranges.json",
            nodes_to_quantize=list(only),
            nodes_to_exclude=[*self._float_nodes, *in_float],
            extra_options={
                **self._settings,
                "TensorQuantOverrides": {name: [bytes_in] for name in self._pinned},
            },
        )
        return onnx.load(path)


def is_detector(source: onnx.ModelProto, choices: Quantization) -> bool:
    """Whether the input of a float model is images of `export_onnx`, and may be changed."""
    return choices.passes and any(entry.key == INPUT for entry in source.metadata_props)


def _float_nodes(graph: onnx.GraphProto, choices: Quantization) -> list[str]:
    tail = _tail_of(graph) if choices.float_tail else []
    inside = tuple(f"{path}{end}" for path in choices.float_modules for end in "./")
    return tail + [node.name for node in graph.node if inside and node.name.startswith(inside)]


def _tail_of(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes between the last weighted layers and the output, in the graph's order."""
    reached = {output.name for output in graph.output}
    tail: list[str] = []
    for node in reversed(graph.node):
        if node.op_type not in _WEIGHTED and not reached.isdisjoint(node.output):
            tail.append(node.name)
            reached.update(node.input)
    return tail[::-1]

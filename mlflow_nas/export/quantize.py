"""Static int8 quantization (QDQ) by ONNX Runtime, with a float tail."""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

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
from onnxruntime.quantization.shape_inference import quant_pre_process

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.export.files import set_metadata, write_model

__all__ = ["quantize_int8"]

_TAIL = {"Concat", "Sigmoid", "Softmax", "Identity"}


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """Hands the calibration images to ONNX Runtime one by one."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._left: Iterator[NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next image as [1, 3, H, W], or None after the last."""
        image = next(self._left, None)
        return None if image is None else {"images": image[np.newaxis]}


def quantize_int8(fp32: Path, path: Path, *, calibration: NDArray[np.float32]) -> Path:
    """Quantize a float ONNX file: per-channel int8 weights, uint8 activations, min-max calibration.

    The last sigmoid, softmax and concat stay in float: objectness (0..1), raw box terms and classes can't
    share one int8 scale without detections being lost.

    Args:
        fp32: the file from `export_onnx`.
        path: where the int8 file goes; it carries the same metadata with precision "int8".
        calibration: float32 [n, 3, H, W] in 0..1, images of the training split.

    Raises:
        ConfigError: no calibration image, images of another size, or the file can't be written.
        CandidateError: ONNX Runtime can't quantize the network.
    """
    source = onnx.load(fp32)
    wanted = tuple(dim.dim_value for dim in source.graph.input[0].type.tensor_type.shape.dim)
    if not len(calibration) or calibration.shape[1:] != wanted[1:]:
        raise ConfigError(
            f"Calibration images are {calibration.shape}, {fp32.name} needs (n, {wanted[1]}, {wanted[2]}, "
            f"{wanted[3]}) with n >= 1: give training images at the network's input size."
        )
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        try:
            _quantize(fp32, prepared, quantized, calibration, _tail_of(source.graph))
        except (RuntimeError, ValueError) as error:
            raise CandidateError(f"{fp32.name} can't be quantized to int8: {error}") from error
        model = onnx.load(quantized)
    metadata = {item.key: item.value for item in source.metadata_props}
    set_metadata(model, {**metadata, "mlflow_nas.precision": "int8"})
    return write_model(model, path)


def _quantize(
    fp32: Path, prepared: Path, quantized: Path, calibration: NDArray[np.float32], tail: list[str]
) -> None:
    # Only shapes are inferred: the export has folded what can be folded, and node names must survive.
    quant_pre_process(str(fp32), str(prepared), skip_optimization=True, skip_symbolic_shape=True)
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises, on the root logger, a pre-processing that was just done
    try:
        quantize_static(
            str(prepared),
            str(quantized),
            _Images(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=tail,
        )
    finally:
        root.setLevel(level)


def _tail_of(graph: onnx.GraphProto) -> list[str]:
    """Names of the nodes between the last convolutions and the output."""
    producers = {output: node for node in graph.node for output in node.output}
    waiting = [output.name for output in graph.output]
    tail: list[str] = []
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.op_type in _TAIL:
            tail.append(node.name)
            waiting.extend(node.input)
    return sorted(set(tail))

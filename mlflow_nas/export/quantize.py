"""Static int8 quantization (QDQ) by ONNX Runtime, with outputs in float."""

import tempfile
from collections.abc import Iterator, Sequence
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

from mlflow_nas.disk import is_machines_fault
from mlflow_nas.errors import CandidateError, ConfigError, MachineError
from mlflow_nas.export.model_files import INPUT, PRECISION, read_model, set_metadata, write_model
from mlflow_nas.export.passes import (
    BYTE_SCALE,
    PADDED,
    accept_bytes,
    copy_shared_weights,
    fold_shuffles,
    pad_stem,
    pools_as_convolutions,
)
from mlflow_nas.types import UINT8_NHWC_RGBX, InputContract

__all__ = ["OUTPUT_BRANCHES", "Quantization", "quantize_int8"]

OUTPUT_BRANCHES = ("head.objectness", "head.box", "head.classes")
"""The last modules of FastestDet: no later layer corrects an error there."""

_WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


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
    float_modules: tuple[str, ...] = OUTPUT_BRANCHES
    method: Literal["moving-average", "min-max", "percentile"] = "moving-average"
    input: InputContract = UINT8_NHWC_RGBX
    passes: bool = True


class _Images(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    """The calibration images, one by one, as ONNX Runtime reads them."""

    def __init__(self, input_name: str, images: NDArray[np.float32]) -> None:
        self._input_name = input_name
        self._left: Iterator[NDArray[np.float32]] = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next image as [1, 3, H, W], or None after the last."""
        image = next(self._left, None)
        return None if image is None else {self._input_name: image[np.newaxis]}


def quantize_int8(
    fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization | None = None
) -> Path:
    """Quantize a float ONNX file: per-channel int8 weights, uint8 activations, ranges averaged over images.

    The last sigmoid, softmax and concat stay in float: objectness (0..1), raw box terms and classes can't
    share one int8 scale without detections being lost. So do the branches before them: a few percent of the
    operations. Nodes keep their names; the same input gives the same bytes.

    Average pools become convolutions. Of a file from `export_onnx` the images' scale is 1/255, and the input
    is the one of the choices; a file of others keeps its input.

    Args:
        fp32: the float file.
        path: where the int8 file goes; it carries the same metadata with precision "int8".
        calibration: float32 [n, 3, H, W] in 0..1, images of the training split.
        choices: other options, for comparison; None for the defaults.

    Raises:
        ConfigError: no calibration image, images of another size, or a file can't be read or written.
        CandidateError: ONNX Runtime can't quantize the network.
    """
    source = read_model(fp32)
    taken = source.graph.input[0]
    wanted = tuple(dim.dim_value for dim in taken.type.tensor_type.shape.dim)
    if not len(calibration) or calibration.shape[1:] != wanted[1:]:
        raise ConfigError(
            f"Calibration images are {calibration.shape}, {fp32.name} needs (n, "
            f"{', '.join(map(str, wanted[1:]))}) with n >= 1: give training images at that size."
        )
    metadata = {entry.key: entry.value for entry in source.metadata_props}
    choices = choices or Quantization()
    try:
        images = _Images(taken.name, calibration)
        if INPUT in metadata and choices.passes:
            model, metadata[INPUT] = _quantize_detector(source, images, choices), choices.input
        else:
            model = _quantize(source, images, choices, pinned=())
    except OSError as error:
        kind = MachineError if is_machines_fault(error) else ConfigError
        raise kind(
            f"{fp32.name} can't be quantized in {tempfile.gettempdir()}: {error.strerror}. Free space, or "
            "set TMPDIR to another folder."
        ) from error
    except Exception as error:  # ONNX Runtime's errors have no other base in common
        raise CandidateError(f"{fp32.name} can't be quantized to int8: {error}") from error
    set_metadata(model, {**metadata, PRECISION: "int8"})
    return write_model(model, path)


def _quantize_detector(
    source: onnx.ModelProto, images: CalibrationDataReader, choices: Quantization
) -> onnx.ModelProto:
    pinned = (source.graph.input[0].name, PADDED)
    model = _quantize(pad_stem(source), images, choices, pinned=pinned)
    return accept_bytes(model) if choices.input == UINT8_NHWC_RGBX else model


def _quantize(
    source: onnx.ModelProto, images: CalibrationDataReader, choices: Quantization, *, pinned: Sequence[str]
) -> onnx.ModelProto:
    if choices.passes:
        source = pools_as_convolutions(fold_shuffles(copy_shared_weights(source)))
    # The exporter has folded and inferred what ONNX Runtime's pre-processing would; this mark
    # keeps ONNX Runtime from advising it in the log. The pre-processing itself would rename nodes.
    add_pre_process_metadata(source)
    method, settings = _METHODS[choices.method]
    bytes_in = {"scale": BYTE_SCALE, "zero_point": np.array(0, dtype=np.uint8)}
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.onnx"
        quantize_static(
            source,
            quantized,
            images,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # On x86 int8 activations take twice as long; on arm64 kernels both take the same.
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            nodes_to_exclude=_float_nodes(source.graph, choices),
            extra_options={**settings, "TensorQuantOverrides": {name: [bytes_in] for name in pinned}},
        )
        return onnx.load(quantized)


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

"""Static int8 quantization (QDQ) by ONNX Runtime, with outputs in float."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from mlflow_nas.disk import is_machines_fault
from mlflow_nas.errors import CandidateError, ConfigError, MachineError, NasError
from mlflow_nas.export.calibrated import CalibratedModel, Quantization, is_detector
from mlflow_nas.export.model_files import INPUT, PRECISION, read_model, set_metadata, write_model
from mlflow_nas.export.passes import accept_bytes
from mlflow_nas.types import UINT8_NHWC_RGBX

__all__ = ["quantize_int8", "quantizing", "write_int8"]


def quantize_int8(
    fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization | None = None
) -> Path:
    """Quantize a float ONNX file: per-channel int8 weights, uint8 activations, ranges averaged over images.

    The last sigmoid, softmax and concat stay in float: objectness (0..1), raw box terms and classes can't
    share one int8 scale without detections being lost. So do the modules of the choices. Nodes keep their
    names; the same input gives the same bytes.

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
    choices = choices or Quantization()
    with quantizing(fp32), tempfile.TemporaryDirectory() as folder:
        model = CalibratedModel(source, calibration, choices, Path(folder)).quantized()
    return write_int8(model, path, source, choices)


def write_int8(model: onnx.ModelProto, path: Path, source: onnx.ModelProto, choices: Quantization) -> Path:
    """Write a quantized model that takes floats, with the input of the choices.

    Args:
        model: of `CalibratedModel.quantized`.
        path: where the file goes.
        source: the float model, whose metadata it carries with precision "int8".
        choices: of the quantization.

    Raises:
        ConfigError: the file can't be written.
    """
    metadata = {entry.key: entry.value for entry in source.metadata_props}
    if is_detector(source, choices):
        metadata[INPUT] = choices.input
        model = accept_bytes(model) if choices.input == UINT8_NHWC_RGBX else model
    set_metadata(model, {**metadata, PRECISION: "int8"})
    return write_model(model, path)


@contextmanager
def quantizing(fp32: Path) -> Iterator[None]:
    """Turn what ONNX Runtime raises into the machine's, the user's or the network's fault.

    Raises:
        MachineError: the disk is full; ConfigError: the temporary folder can't be used.
        CandidateError: ONNX Runtime can't quantize the network.
    """
    try:
        yield
    except NasError:
        raise
    except OSError as error:
        kind = MachineError if is_machines_fault(error) else ConfigError
        raise kind(
            f"{fp32.name} can't be quantized in {tempfile.gettempdir()}: {error.strerror}. Free space, or "
            "set TMPDIR to another folder."
        ) from error
    except Exception as error:  # ONNX Runtime's errors have no other base in common
        raise CandidateError(
            f"{fp32.name} can't be quantized to int8: {error}. Keep the part that it names in float "
            "(quantization.float_modules), or set quantization.precision=fp32."
        ) from error

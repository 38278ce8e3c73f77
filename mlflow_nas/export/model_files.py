"""Model files: read with an error that names them, written whole or not at all, identified by a hash."""

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships no types

from mlflow_nas.disk import refuse_special_file, write_whole
from mlflow_nas.errors import CandidateError, ConfigError

__all__ = [
    "INPUT",
    "PRECISION",
    "model_sha256",
    "operator_count",
    "read_model",
    "set_metadata",
    "write_model",
]

PRECISION = "mlflow_nas.precision"
"""The metadata entry of the precision, "fp32" or "int8"."""

_MAX_INPUT_VALUES = 3 * 4096 * 4096
"""Of one input: an image of the largest size that a setting allows."""
INPUT = "mlflow_nas.input"
"""The metadata entry of the input contract (`types.InputContract`)."""


def model_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def operator_count(path: Path) -> int:
    """Number of operators of an ONNX file.

    Raises:
        ConfigError: the file is missing or no ONNX model.
    """
    return len(read_model(path).graph.node)


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the model's metadata_props, in the order of their names."""
    del model.metadata_props[:]
    for name, value in sorted(metadata.items()):
        model.metadata_props.add(key=name, value=value)


def read_model(path: Path) -> onnx.ModelProto:
    """Read a model.

    Raises:
        ConfigError: the file is missing or no ONNX model, or weights outside of it are missing or elsewhere.
    """
    refuse_special_file(path)
    try:
        model = onnx.load(path)
    except (OSError, ValueError, DecodeError, onnx.checker.ValidationError) as error:
        raise ConfigError(
            f"{path} can't be read as an ONNX model: {error}. Give a file of export_onnx."
        ) from error
    _refuse_huge(path, model)
    if not model.graph.input:
        raise ConfigError(f"{path} holds no ONNX graph with an input. Give a file of export_onnx.")
    return model


def _refuse_huge(path: Path, model: onnx.ModelProto) -> None:
    for value in model.graph.input:
        sizes = [max(int(dim.dim_value), 1) for dim in value.type.tensor_type.shape.dim]
        if math.prod(sizes) > _MAX_INPUT_VALUES:
            raise ConfigError(
                f"{path}: the input {value.name[:80]} is {'x'.join(map(str, sizes[:8]))}, "
                f"{_MAX_INPUT_VALUES} values is the most; export the network at a smaller size."
            )


def write_model(model: onnx.ModelProto, path: Path) -> Path:
    """Check a model and write it; a process that is killed midway leaves the old file or none.

    Raises:
        CandidateError: the model breaks ONNX's rules.
        ConfigError: the folder is missing or may not be written.
        MachineError: the disk is full, read-only or broken.
    """
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise CandidateError(
            f"The network makes no valid ONNX model ({path.name}): {error}. Change that operator."
        ) from error
    return write_whole(path, model.SerializeToString(deterministic=True))

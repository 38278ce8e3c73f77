"""Model files: written whole or not at all, named by their hash."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import onnx

from mlflow_nas.errors import ConfigError

__all__ = ["model_sha256", "set_metadata", "write_model"]


def model_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def set_metadata(model: onnx.ModelProto, metadata: Mapping[str, str]) -> None:
    """Replace the model's metadata_props, in the order of their names."""
    del model.metadata_props[:]
    for name, value in sorted(metadata.items()):
        model.metadata_props.add(key=name, value=value)


def write_model(model: onnx.ModelProto, path: Path) -> Path:
    """Write a model; a process that is killed midway leaves the old file or none.

    Raises:
        ConfigError: the disk is full or the folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ConfigError(
            f"{path} can't be written: {error.strerror}. Free some space, "
            "or set MLFLOW_NAS_WORK to another folder."
        ) from error
    return path

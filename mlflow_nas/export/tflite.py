"""The float ONNX file as converters to TFLite take it."""

from pathlib import Path
from typing import NamedTuple

from mlflow_nas.export.calibrated import Quantization
from mlflow_nas.export.model_files import read_model, write_model
from mlflow_nas.export.passes import (
    copy_shared_weights,
    fold_shuffles,
    pad_pools,
    pools_as_convolutions,
    split_output,
)

__all__ = ["TfliteSource", "write_tflite_source"]


class TfliteSource(NamedTuple):
    """A float file, and how its outputs make that of the file before.

    Attributes:
        path: of the file.
        metadata: of the file before.
        output: name of its output.
        parts: names of the outputs here, in their order.
        axis: along which they are concatenated.
    """

    path: Path
    metadata: dict[str, str]
    output: str
    parts: tuple[str, ...]
    axis: int


def write_tflite_source(fp32: Path, path: Path, choices: Quantization) -> TfliteSource:
    """Write a float file that computes the same, of operators that int8 TFLite and NPUs have.

    Args:
        fp32: the float file.
        path: of the file to write.
        choices: of the quantization; with `float_tail` the last concatenation is left to the reader.

    Raises:
        ConfigError: a file can't be read or written.
    """
    source = read_model(fp32)
    model = pad_pools(pools_as_convolutions(fold_shuffles(copy_shared_weights(source))))
    model, axis = split_output(model) if choices.float_tail else (model, 1)
    return TfliteSource(
        path=write_model(model, path),
        metadata={entry.key: entry.value for entry in source.metadata_props},
        output=source.graph.output[0].name,
        parts=tuple(output.name for output in model.graph.output),
        axis=axis,
    )

"""ONNX files from elsewhere: fixed input shapes, whether they are quantized, plain quantization."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.external_data_helper import uses_external_data
from onnxruntime.quantization import QuantFormat, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.tools.onnx_model_utils import fix_output_shapes, make_input_shape_fixed

from mlflow_nas.errors import ConfigError
from mlflow_nas.export.calibrated import CalibrationImages
from mlflow_nas.export.model_files import read_model, write_model
from mlflow_nas.export.quantize import quantizing

__all__ = ["copy_of_size", "fix_input_shapes", "is_quantized", "quantize_plain", "random_images"]

_QUANTIZED = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"}


_EXAMPLE = 320


def is_quantized(path: Path) -> bool:
    """Whether an ONNX file holds quantized operators.

    Raises:
        ConfigError: the file is missing or no ONNX model.
    """
    return any(
        node.op_type in _QUANTIZED or node.op_type.startswith("QLinear")
        for node in read_model(path).graph.node
    )


def fix_input_shapes(path: Path, target: Path, shapes: Mapping[str, Sequence[int]]) -> Path:
    """The file with the given input shapes; a dynamic batch without a given size is 1.

    Args:
        path: any ONNX file.
        target: where the changed file goes.
        shapes: name of an input to its shape.

    Returns:
        The target; the path itself when all of its sizes are fixed already.

    Raises:
        ConfigError: a shape of an unknown input, of another rank, against a fixed size, or missing for a
            dynamic one; no ONNX file.
        CandidateError: the model can't be built with that shape.
    """
    model = read_model(path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _sizes(value) for value in model.graph.input if value.name not in weights}
    for name in shapes:
        if name not in inputs:
            raise ConfigError(
                f"--shape names the input {name!r}, {path.name} has {', '.join(inputs)}: name one of them."
            )
    if not shapes and all(all(sizes) for sizes in inputs.values()):
        return path
    for name, sizes in inputs.items():
        if name not in shapes and not all(sizes[1:]):
            declared = "x".join(str(size or "?") for size in sizes)
            example = "x".join(str(size or _EXAMPLE) for size in (1, *sizes[1:]))
            raise ConfigError(
                f"the input {name} of {path.name} is {declared}, of no fixed size: give one, such as "
                f"--shape {name}={example}."
            )
        wanted = [int(size) for size in shapes.get(name, [size or 1 for size in sizes])]
        try:
            make_input_shape_fixed(model.graph, name, wanted)
        except ValueError as error:
            declared = "x".join(str(size or "?") for size in sizes)
            raise ConfigError(
                f"--shape {name}={'x'.join(map(str, wanted))} does not fit {path.name}, which declares "
                f"{declared}: {error}."
            ) from error
    fix_output_shapes(model)
    target.parent.mkdir(parents=True, exist_ok=True)
    return write_model(model, target)


def _sizes(value: onnx.ValueInfoProto) -> list[int]:
    """The declared sizes; 0 for a dynamic one."""
    return [max(int(dim.dim_value), 0) for dim in value.type.tensor_type.shape.dim]


def random_images(path: Path, count: int) -> NDArray[np.float32]:
    """Random inputs [n, ...] of a file's first input, in 0..1: enough to quantize for timing, not for use.

    Raises:
        ConfigError: the file is missing or no ONNX model.
    """
    sizes = _sizes(read_model(path).graph.input[0])
    return np.random.default_rng(0).random((count, *sizes[1:]), dtype=np.float32)


def copy_of_size(path: Path, target: Path, img_size: tuple[int, int]) -> Path:
    """One file with the weights inside and fixed sizes; byte for byte the same where nothing had to change.

    Args:
        path: a file whose input is images, [n, 3, H, W] where a size is open.
        target: where the copy goes.
        img_size: height and width, pixels.

    Raises:
        ConfigError: the file is missing, no ONNX model, or of another size.
    """
    taken = read_model(path).graph.input[0]
    declared = _sizes(taken)
    shape = [size or wanted for size, wanted in zip(declared, (1, 3, *img_size), strict=True)]
    fixed = fix_input_shapes(path, target, {} if all(declared[1:]) else {taken.name: shape})
    if fixed == target:
        return target
    graph = onnx.load(path, load_external_data=False).graph
    if any(uses_external_data(tensor) for tensor in graph.initializer):
        return write_model(read_model(path), target)
    return Path(shutil.copyfile(path, target))


def quantize_plain(path: Path, target: Path, *, calibration: NDArray[np.float32]) -> Path:
    """Quantize a float file as ONNX Runtime does by its defaults: what a user gets without this project.

    Its pre-processing, then `quantize_static` to QuantizeLinear/DequantizeLinear: the whole graph, a scale
    per tensor, the extremes of the calibration images as ranges
    (onnxruntime.ai/docs/performance/model-optimizations/quantization.html).

    Args:
        path: a float file that takes float32 [1, 3, H, W].
        target: where the int8 file goes.
        calibration: float32 [n, 3, H, W] in 0..1.

    Raises:
        ConfigError: the file is missing or no ONNX model.
        CandidateError: ONNX Runtime can't quantize it.
    """
    name = read_model(path).graph.input[0].name
    with quantizing(path), tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / path.name
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        quantize_static(prepared, target, CalibrationImages(name, calibration), quant_format=QuantFormat.QDQ)
    return target

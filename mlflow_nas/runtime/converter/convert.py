"""Float ONNX to int8 TFLite; run by the Python of the converters' own environment, which lacks mlflow_nas.

python convert.py MODEL.onnx CALIBRATION.npy INT8.tflite
"""

from __future__ import annotations

import contextlib
import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import layout
import numpy as np
import onnx
import onnx2tf
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe
from onnx2tf.tflite_builder.lower_from_onnx2tf import lower_onnx_to_ir

SIGNATURE, INPUT = "serving_default", "images"
NHWC, SAME = "NHWC", "as-onnx"  # layouts of an output
FLOAT_SUFFIX = "_float32.tflite"  # that onnx2tf appends
MAX_DIFFERENCE = 5e-3
"""Of a float output before and after the conversion; box terms reach about 10."""
REFUSED = 3
"""Exit code where the model is the cause."""


def main(model: Path, calibration: Path, target: Path) -> None:
    """Convert, compare, calibrate and quantize a model.

    Args:
        model: a float file of images [1, 3, H, W].
        calibration: an .npy file of float32 images [n, 3, H, W] in 0..1.
        target: the int8 file to write; it takes int8 [1, H, W, 3]: a pixel's byte less 128.

    The last line of its output is a JSON object: each output's name to its layout, NHWC or that of the ONNX
    file.
    """
    images = np.load(calibration)
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "float.tflite"
        converted.write_bytes(to_float_tflite(model, Path(folder)))
        layouts = compare(model, converted, images[:1])
        quantize(converted, images.transpose(0, 2, 3, 1), target)
    sys.stdout.write(f"\n{json.dumps(layouts)}\n")


def to_float_tflite(model: Path, folder: Path) -> bytes:
    """The float model as a TFLite file that computes in NHWC; onnx2tf without TensorFlow."""
    _without_layout_passes(lower_onnx_to_ir)
    found = folder / f"{model.stem}{FLOAT_SUFFIX}"
    try:
        with contextlib.redirect_stdout(sys.stderr):
            onnx2tf.convert(
                input_onnx_file_path=str(model),
                output_folder_path=str(folder),
                tflite_backend="flatbuffer_direct",
                non_verbose=True,
            )
    except SystemExit as error:  # its way to refuse an operator
        refuse(f"onnx2tf can't convert the model (code {error.code})")
    tree = layout.read(found.read_bytes())
    layout.repair_slices(tree, _shapes(model))
    layout.move_to_nhwc(tree)
    layout.fuse_activations(tree)
    content: bytes = layout.serialize(tree)
    return content


def _without_layout_passes(function: Any) -> None:
    """Switch onnx2tf's own layout passes off by their default: it has no option for them."""
    names = inspect.signature(function).parameters
    changed = {name: one.default for name, one in names.items() if one.default is not one.empty}
    function.__defaults__ = tuple({**changed, "optimize_layout_transpose_chains": False}.values())


def _shapes(model: Path) -> dict[str, list[int]]:
    """Name of each tensor of the ONNX file, as onnx2tf writes it, to its sizes."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(model)).graph
    return {
        value.name.replace(":", "__"): [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in graph.value_info
    }


def compare(model: Path, converted: Path, image: Any) -> dict[str, str]:
    """Refuse a conversion that changes an output; the layout of each."""
    session = onnxruntime.InferenceSession(str(model))
    names = [output.name for output in session.get_outputs()]
    wanted = dict(zip(names, session.run(None, {INPUT: image}), strict=True))
    network = Interpreter(str(converted), num_threads=1)
    network.allocate_tensors()
    network.set_tensor(network.get_input_details()[0]["index"], image.transpose(0, 2, 3, 1))
    network.invoke()
    details = {detail["name"]: detail["index"] for detail in network.get_output_details()}
    if details.keys() != wanted.keys():
        refuse(f"the TFLite file has the outputs {sorted(details)}, the ONNX file {sorted(wanted)}")
    return {name: _layout(before, network.get_tensor(details[name])) for name, before in wanted.items()}


def _layout(before: Any, after: Any) -> str:
    """In which the converted output holds the values of the one before."""
    differences = {SAME: _difference(before, after)}
    if after.ndim == 4:
        differences[NHWC] = _difference(before, after.transpose(0, 3, 1, 2))
    found = min(differences, key=lambda layout: differences[layout])
    if not differences[found] <= MAX_DIFFERENCE:
        refuse(
            f"the float TFLite file differs from the ONNX file by {differences[found]:.3g}, at most "
            f"{MAX_DIFFERENCE:g} is allowed: an operator was converted wrongly"
        )
    return found


def _difference(before: Any, after: Any) -> float:
    return float(np.abs(before - after).max()) if before.shape == after.shape else np.inf


def quantize(converted: Path, images: Any, target: Path) -> None:
    """Int8 weights, one scale a channel, and int8 activations; the images' scale is 1/255 exactly.

    Args:
        converted: a float TFLite file of images [1, H, W, 3].
        images: float32 [n, H, W, 3] in 0..1.
        target: the file to write.
    """
    made = quantizer.Quantizer(str(converted), recipe.static_wi8_ai8())
    ranges: Any = made.calibrate({SIGNATURE: [{INPUT: image[np.newaxis]} for image in images]}, num_threads=1)
    ranges[INPUT] = {"min": np.zeros((1, 1, 1, 1), np.float32), "max": np.ones((1, 1, 1, 1), np.float32)}
    made.quantize(ranges).export_model(str(target), overwrite=True)


def refuse(reason: str) -> None:
    """End because of the model; the reason is the last line."""
    sys.stderr.write(f"\n{' '.join(reason.split())}\n")
    sys.exit(REFUSED)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:4]))
    except Exception as error:  # noqa: BLE001 - the tools raise anything where they lack an operator
        refuse(f"{type(error).__name__}: {error}")

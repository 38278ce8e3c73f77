"""Float ONNX to int8 TFLite; run by the Python of the converters' own environment, which lacks mlflow_nas.

python convert.py MODEL.onnx CALIBRATION.npy INT8.tflite
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import layout
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

SIGNATURE, INPUT = "serving_default", "images"
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
        target: the int8 file to write; it takes int8 [1, H, W, 3]: a pixel's byte less 128. Outputs of four
            dimensions are NHWC.
    """
    images = np.load(calibration)
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "float.tflite"
        converted.write_bytes(to_float_tflite(model, Path(folder)))
        compare(model, converted, images[:1])
        quantize(converted, images.transpose(0, 2, 3, 1), target)


def to_float_tflite(model: Path, folder: Path) -> bytes:
    """The float model as a TFLite file that computes in NHWC; onnx2tf without TensorFlow."""
    argv = [sys.executable, "-m", "onnx2tf", "-i", str(model), "-o", str(folder)]
    done = subprocess.run(
        [*argv, "-tb", "flatbuffer_direct", "-n"], capture_output=True, text=True, check=False
    )
    found = folder / f"{model.stem}{FLOAT_SUFFIX}"
    if done.returncode or not found.is_file():
        refuse(f"onnx2tf can't convert the model: {(done.stdout + done.stderr).strip()[-600:]}")
    tree = layout.read(found.read_bytes())
    layout.move_to_nhwc(tree)
    layout.fuse_activations(tree)
    content: bytes = layout.serialize(tree)
    return content


def compare(model: Path, converted: Path, image: Any) -> None:
    """Refuse a conversion that changes an output; in NHWC that output may have another order of its axes."""
    wanted = onnxruntime.InferenceSession(str(model)).run(None, {INPUT: image})
    network = Interpreter(str(converted), num_threads=1)
    network.allocate_tensors()
    network.set_tensor(network.get_input_details()[0]["index"], image.transpose(0, 2, 3, 1))
    network.invoke()
    found = [network.get_tensor(output["index"]) for output in network.get_output_details()]
    for before, after in zip(wanted, found, strict=True):
        after = after.transpose(0, 3, 1, 2) if after.ndim == 4 else after  # noqa: PLW2901
        difference = float(np.abs(before - after).max()) if before.shape == after.shape else np.inf
        if not difference <= MAX_DIFFERENCE:
            refuse(
                f"the float TFLite file differs from the ONNX file by {difference:.3g}, at most "
                f"{MAX_DIFFERENCE:g} is allowed: an operator was converted wrongly"
            )


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
    """End because of the model."""
    sys.stderr.write(f"{reason}\n")
    sys.exit(REFUSED)


if __name__ == "__main__":
    try:
        main(*map(Path, sys.argv[1:4]))
    except Exception as error:  # noqa: BLE001 - the tools raise anything where they lack an operator
        refuse(f"{type(error).__name__}: {error}")

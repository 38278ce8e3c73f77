"""Small detectors with their golden samples."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from mlflow_nas.runtime import GOLDEN_FILE, write_golden


def write_model(path: Path, precision: str, img_size: tuple[int, int], gain: float) -> None:
    """A convolution that gives cells of one class."""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [5, 3, 1, 1], np.full(15, gain, np.float32))
    node = helper.make_node("Conv", ["images", "w"], ["detections"], strides=[16, 16])
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, *img_size])
    cells = [size // 16 for size in img_size]
    found = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 5, *cells])
    graph = helper.make_graph([node], "detector", [given], [found], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    metadata = {"classes": '["person"]', "architecture": '{"groups": 2}', "precision": precision}
    helper.set_model_props(model, {f"mlflow_nas.{name}": value for name, value in metadata.items()})
    onnx.save(model, path)


def write_golden_samples(file: Path, img_size: tuple[int, int], drift: float) -> None:
    """Golden samples of a host whose outputs differ by `drift`."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, *img_size), np.uint8)
    path = write_golden(file.with_name(GOLDEN_FILE), file, images, fp32=file)
    with np.load(path) as stored:
        arrays = dict(stored)
    np.savez(path, **{**arrays, "outputs": arrays["outputs"] + np.float32(drift)})

"""Small ONNX files, made without torch; a small disk."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

Model = Callable[[int], Path]


@pytest.fixture
def make_model(tmp_path: Path) -> Model:
    """A convolution from [1, 3, 32, 48] to [1, channels, 2, 3], another file per number of channels."""

    def make(channels: int) -> Path:
        values = np.random.default_rng(channels).random(channels * 27).astype(np.float32)
        weights = helper.make_tensor("w", TensorProto.FLOAT, [channels, 3, 3, 3], values)
        node = helper.make_node("Conv", ["images", "w"], ["detections"], strides=[16, 16], pads=[1, 1, 1, 1])
        given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 48])
        found = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, channels, 2, 3])
        graph = helper.make_graph([node], "detector", [given], [found], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / f"model-{channels}.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small tmpfs can be mounted by root only")
    yield folder
    unmount = ["umount", str(folder)]
    subprocess.run(unmount, check=True)

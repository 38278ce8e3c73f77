"""Boxes that a file decodes itself: those that our own decoding finds in the map of cells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.deployments.manifest import describe_file
from mlflow_nas.export import export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector, check_parity, read_golden, worst_drift, write_golden
from mlflow_nas.tasks import DETECTION, decode, to_boxes

SIZE = (32, 48)
IMAGES = np.random.default_rng(0).random((3, 3, *SIZE), dtype=np.float32)


class Cells(nn.Module):
    """[b, 3, H, W] -> [b, 5 + N, H / 8, W / 8]; one class has no channel."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU())
        self.head = nn.Conv2d(8, 5 + (classes if classes > 1 else 0), 3, padding=1)
        nn.init.normal_(self.head.weight, 0, 0.5)

    def forward(self, images: Tensor) -> Tensor:
        """Objectness, four box terms, shares of the classes."""
        raw = self.head(self.stem(images))
        parts = [raw[:, :1].sigmoid(), raw[:, 1:5]]
        return torch.cat([*parts, raw[:, 5:].softmax(1)] if raw.shape[1] > 5 else parts, dim=1)


class Boxes(nn.Module):
    """[b, 3, H, W] -> [b, n, 4 + 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 6, 8, 8)

    def forward(self, images: Tensor) -> Tensor:
        """Corners and scores."""
        return self.head(images).sigmoid().flatten(2).transpose(1, 2)


Files = Callable[..., tuple[Path, Path]]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """The float and the int8 file of a network."""

    def make(network: nn.Module, name: str, *, boxes: bool) -> tuple[Path, Path]:
        metadata = {"mlflow_nas.classes": '["person"]'}
        path = tmp_path / f"{name}-fp32.onnx"
        fp32 = export_onnx(network, path, img_size=SIZE, metadata=metadata, boxes=boxes)
        return fp32, quantize_int8(fp32, tmp_path / f"{name}-int8.onnx", calibration=IMAGES)

    return make


def _network(classes: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Cells(classes).eval()


@pytest.mark.parametrize("classes", [1, 3])
def test_a_file_decodes_as_we_do(files: Files, classes: int) -> None:
    """In float and in int8: the same boxes and scores, and the same detections after suppression."""
    network = _network(classes)
    pairs = zip(files(network, "cells", boxes=False), files(network, "boxes", boxes=True), strict=True)
    for own, decoded in pairs:
        cells, boxes = torch.from_numpy(OnnxDetector(own)(IMAGES)), OnnxDetector(decoded)(IMAGES)
        assert OnnxDetector(decoded).layout == ("boxes", classes)
        np.testing.assert_allclose(boxes, to_boxes(cells), atol=1e-6)
        for one, other in zip(decode(torch.from_numpy(boxes)), decode(cells), strict=True):
            assert len(one.boxes) > 0
            assert one.labels.tolist() == other.labels.tolist()
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-6)


def test_parity_decodes_the_networks_output(files: Files) -> None:
    """A decoded file is compared with the decoded output of torch."""
    network = _network(3)
    fp32, _ = files(network, "boxes", boxes=True)
    assert check_parity(network, fp32, IMAGES, atol=1e-5, decode=to_boxes) < 1e-5


def test_the_decoding_stays_in_float(files: Files) -> None:
    """Its nodes read no tensor that was quantized after the last convolution."""
    _, int8 = files(_network(3), "boxes", boxes=True)
    graph = onnx.load(int8).graph
    last = max(index for index, node in enumerate(graph.node) if node.op_type == "Conv")
    after = [node.op_type for node in graph.node[last + 1 :]]
    assert {"Tanh", "Exp", "Split"} <= set(after)
    assert after.count("QuantizeLinear") <= 1  # the convolution's own output


def test_decoded_boxes_stay(files: Files) -> None:
    """A network that gives boxes ships its own decoding: both files have the same bytes."""
    network = Boxes().eval()
    assert files(network, "a", boxes=True)[0].read_bytes() == files(network, "b", boxes=False)[0].read_bytes()


def test_manifest_and_golden_samples_of_a_decoded_file(files: Files, tmp_path: Path) -> None:
    """The manifest names corners and scores; the tolerance is one per column of a box."""
    fp32, int8 = files(_network(3), "boxes", boxes=True)
    described = describe_file(OnnxDetector(int8), ["a", "b", "c"])["output"]
    assert described == DETECTION.describe_output(OnnxDetector(int8).layout, threshold=0.3)
    assert described["layout"] == "[1, n, 4 + classes]"  # type: ignore[index]
    images = (IMAGES * 255).astype(np.uint8)
    golden = read_golden(write_golden(tmp_path / "golden.npz", int8, images, fp32=fp32))
    assert golden.allowed.shape == (7,)
    assert worst_drift(device=golden.outputs, host=golden.outputs, allowed=golden.allowed).is_allowed

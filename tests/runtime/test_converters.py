"""Networks compiled to int8 TFLite and for an NPU, by the real converters."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_space import TinyDetector

from mlflow_nas.board import get_board
from mlflow_nas.config import find_device
from mlflow_nas.errors import CandidateError
from mlflow_nas.export import Quantization, export_onnx
from mlflow_nas.runtime import (
    HOST_FILE,
    LiteRt,
    OnnxDetector,
    OnnxRuntime,
    allowed_drift,
    get_runtime,
    worst_drift,
)
from mlflow_nas.space import build_detector, load_space

METADATA = {"mlflow_nas.classes": '["person"]', "mlflow_nas.key": "c8"}


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file of random weights."""
    torch.manual_seed(0)
    network = TinyDetector(channels=8, kernel_size=3)
    return export_onnx(
        network, tmp_path_factory.mktemp("fp32") / "model.onnx", img_size=(64, 64), metadata=METADATA
    )


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(0).random((count, 3, 64, 64)).astype(np.float32)


@pytest.mark.usefixtures("converters")
def test_the_converters_are_a_part_of_what_a_file_depends_on() -> None:
    """Another version makes another step of the cache. Where this is skipped, all like it are."""
    assert set(LiteRt().identity()) == {"litert", "converters"}


@pytest.mark.services
@pytest.mark.usefixtures("converters")
def test_a_litert_file_computes_what_the_onnx_file_does(fp32: Path, tmp_path: Path) -> None:
    """Within what int8 itself changes, with all metadata; the same network gives the same bytes."""
    images, int8, onnx = _images(8), tmp_path / "model.tflite", tmp_path / "int8.onnx"
    for runtime, path in ((LiteRt(), int8), (OnnxRuntime(), onnx)):
        runtime.compile(fp32, path, calibration=images, choices=Quantization())
    floats, found = OnnxDetector(fp32)(images), LiteRt().run(int8)(images)
    allowed = 3 * allowed_drift(fp32=floats, int8=OnnxDetector(onnx)(images))
    assert worst_drift(device=found, host=floats, allowed=allowed).is_allowed
    opened = OnnxDetector(int8)
    assert opened.metadata.items() >= METADATA.items()
    assert opened.metadata["mlflow_nas.precision"] == "int8"
    assert len(opened.tensors["parts"]) == 2
    LiteRt().compile(fp32, tmp_path / "again.tflite", calibration=images, choices=Quantization())
    assert (tmp_path / "again.tflite").read_bytes() == int8.read_bytes()


@pytest.mark.services
@pytest.mark.usefixtures("converters")
def test_a_file_for_an_npu_has_its_estimate_and_its_twin(fp32: Path, tmp_path: Path) -> None:
    """All operators on the NPU; the twin for processors gives the outputs, the board the estimate."""
    device = find_device("vela:ethos-u65-256")
    runtime, path = get_runtime(device), tmp_path / "model.tflite"
    runtime.compile(fp32, path, calibration=_images(8), choices=Quantization())
    found = runtime.placement(path).metrics
    assert found["npu_share"] == 1
    assert found["sram_bytes"] > 0
    latency = runtime.time(path, get_board(device), reference=path)
    assert 0 < latency.p50_ms < 5
    assert latency.ratio == 1
    assert latency.facts["system_config"]
    outputs = runtime.run(path)(_images(2))
    np.testing.assert_array_equal(outputs, OnnxDetector(tmp_path / HOST_FILE)(_images(2)))


@pytest.mark.services
@pytest.mark.usefixtures("converters")
def test_an_operator_that_can_not_be_converted_is_the_networks_fault(tmp_path: Path) -> None:
    """The sentence has the converter's last words."""

    class Odd(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(torch.det(images[:, :, :3, :3]).reshape(1, 3), dim=1)

    fp32 = export_onnx(Odd(), tmp_path / "odd.onnx", img_size=(64, 64), metadata={}, output="logits")
    with pytest.raises(CandidateError, match=r"can't be converted to int8 TFLite: .*Change its operators"):
        LiteRt().compile(fp32, tmp_path / "odd.tflite", calibration=_images(2), choices=Quantization())


@pytest.mark.services
@pytest.mark.usefixtures("converters")
def test_channels_that_are_taken_one_by_one_are_converted(tmp_path: Path) -> None:
    """Of folded shuffles, at a size at which onnx2tf permutes such a slice without its input."""
    space = load_space("fastestdet-head")
    architecture = {"kernel_size": 3, "groups": 8, "channels": 24, "img_width": 228}
    network = build_detector(architecture, num_classes=1, space=space)
    size = space.input_size(architecture, 1.0)
    fp32 = export_onnx(network, tmp_path / "model.onnx", img_size=size, metadata={})
    images = np.random.default_rng(0).random((2, 3, *size)).astype(np.float32)
    path = tmp_path / "model.tflite"
    LiteRt().compile(fp32, path, calibration=images, choices=Quantization())
    assert OnnxDetector(path).img_size == size
    assert OnnxDetector(path).layout == OnnxDetector(fp32).layout

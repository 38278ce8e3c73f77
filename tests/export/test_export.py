from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector, check_parity
from mlflow_nas.space import OUTPUT_BRANCHES, FastestDet, build_detector

SIZE = (96, 96)
ARCHITECTURE = {"kernel_size": 3, "groups": 2, "channels": 24, "img_width": 220}


@pytest.fixture(scope="module")
def network() -> FastestDet:
    return build_detector(ARCHITECTURE, num_classes=2, seed=1)


@pytest.fixture(scope="module")
def fp32(network: FastestDet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "model.onnx"
    return export_onnx(network, path, img_size=SIZE, metadata={"mlflow_nas.key": "k", "a": "b"})


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).random((4, 3, *SIZE), dtype=np.float32)


@pytest.fixture(scope="module")
def int8(fp32: Path, images: np.ndarray) -> Path:
    choices = Quantization(float_modules=OUTPUT_BRANCHES)
    return quantize_int8(fp32, fp32.with_name("int8.onnx"), calibration=images, choices=choices)


def test_the_file_has_fixed_names_sizes_and_metadata(fp32: Path) -> None:
    """Input "images" with batch 1, output "detections", our metadata and no more."""
    model = onnx.load(fp32)
    graph = model.graph
    shape = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    assert (graph.input[0].name, shape, graph.output[0].name) == ("images", [1, 3, 96, 96], "detections")
    assert {"mlflow_nas.key": "k", "a": "b"}.items() <= {
        item.key: item.value for item in model.metadata_props
    }.items()
    assert model.opset_import[0].version >= 17


def test_nodes_keep_the_module_path_and_unique_names(fp32: Path) -> None:
    """A profile of the device can be summed per module; BatchNorm is folded."""
    nodes = onnx.load(fp32).graph.node
    names = [node.name for node in nodes]
    assert "backbone.stage2.0.branch1.0/Conv" in names
    assert "head.objectness.3/Conv" in names
    assert len(set(names)) == len(names)
    assert "BatchNormalization" not in {node.op_type for node in nodes}


def test_nothing_of_this_machine_is_in_the_files(fp32: Path, int8: Path) -> None:
    """The exporter's stack traces are stripped."""
    for content in (fp32.read_bytes(), int8.read_bytes()):
        assert b".py" not in content
        assert b"site-packages" not in content
        assert str(Path.cwd()).encode() not in content


def test_the_file_computes_what_the_network_computes(
    network: FastestDet, fp32: Path, images: np.ndarray
) -> None:
    """Parity holds, and a disagreement is the candidate's fault."""
    assert check_parity(network, fp32, images, atol=1e-3) < 1e-3
    other = build_detector(ARCHITECTURE, num_classes=2, seed=1)
    torch.nn.init.constant_(other.head.box[4].bias, 1.0)
    with pytest.raises(
        CandidateError, match=r"model\.onnx differs from torch by .*, at most 0\.001 is allowed"
    ):
        check_parity(other, fp32, images, atol=1e-3)


def test_int8_keeps_names_metadata_and_float_outputs(int8: Path) -> None:
    """Convolutions are quantized; the output branches, the last sigmoid, softmax and concat are not."""
    model = onnx.load(int8)
    assert {item.key: item.value for item in model.metadata_props}["mlflow_nas.precision"] == "int8"
    producers = {output: node for node in model.graph.node for output in node.output}
    concat = producers["detections"]
    assert concat.op_type == "Concat"
    assert {producers[name].op_type for name in concat.input} == {"Sigmoid", "Softmax", "Conv"}
    convolutions = {node.name: node for node in model.graph.node if node.op_type == "Conv"}
    in_int8 = {
        name
        for name, node in convolutions.items()
        if node.input[1] in producers and producers[node.input[1]].op_type == "DequantizeLinear"
    }
    assert {name for name in convolutions if name not in in_int8} == {
        name for name in convolutions if name.startswith(OUTPUT_BRANCHES)
    }
    assert "head.box.0/Conv" in convolutions


def test_int8_is_near_float(fp32: Path, int8: Path, images: np.ndarray) -> None:
    """Objectness moves little, and the file is smaller."""
    drift = np.abs(OnnxDetector(fp32)(images)[:, 0] - OnnxDetector(int8)(images)[:, 0])
    assert drift.mean() < 0.05
    assert int8.stat().st_size < fp32.stat().st_size


def test_bad_calibration_is_refused(fp32: Path, tmp_path: Path) -> None:
    """The sentence names both shapes."""
    for shape in ((0, 3, 96, 96), (2, 3, 64, 64)):
        with pytest.raises(
            ConfigError, match=r"Calibration images are .*, model\.onnx needs \(n, 3, 96, 96\)"
        ):
            quantize_int8(fp32, tmp_path / "q.onnx", calibration=np.zeros(shape, np.float32))


def test_a_detector_refuses_other_sizes_and_broken_files(fp32: Path, tmp_path: Path) -> None:
    """Errors name the file and the size."""
    detector = OnnxDetector(fp32)
    assert (detector.img_size, detector.layout, detector.metadata["a"]) == (SIZE, ("cells", 2), "b")
    with pytest.raises(ConfigError, match="images of 3 x 96 x 96, got 1 x 3 x 64 x 64"):
        detector(np.zeros((1, 3, 64, 64), np.float32))
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    with pytest.raises(ConfigError, match=r"can't read the model file .*bad\.onnx"):
        OnnxDetector(tmp_path / "bad.onnx")


def test_a_network_that_torch_cant_export_is_the_candidates_fault(tmp_path: Path) -> None:
    """The search continues without it."""

    class Branching(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(CandidateError, match="can't be exported to ONNX"):
        export_onnx(Branching(), tmp_path / "x.onnx", img_size=SIZE, metadata={})

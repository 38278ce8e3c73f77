"""Export, quantization, parity and running on a stand-in: what the room promises of any detector."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from stand_in import StandIn

from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.export import Quantization, export_onnx, model_sha256, quantize_int8
from mlflow_nas.runtime import OnnxDetector

CONTRACT = Path(__file__).parents[1] / "contract"
IN_ANOTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from stand_in import stand_in
from mlflow_nas.export import export_onnx, model_sha256, quantize_int8
images = np.random.default_rng(0).random((4, 3, 32, 48), dtype=np.float32)
folder = Path(sys.argv[2])
fp32 = export_onnx(stand_in(), folder / "a.onnx", img_size=(32, 48), metadata={"mlflow_nas.key": "tiny"})
print(model_sha256(fp32), model_sha256(quantize_int8(fp32, folder / "b.onnx", calibration=images)))
"""


def test_the_network_and_the_random_state_stay_as_they_are(standin: StandIn, tmp_path: Path) -> None:
    """Weights, statistics, modes and the next random number are the same after an export."""
    standin.train()
    standin.norm.eval()
    modes = [module.training for module in standin.modules()]
    state = {name: value.clone() for name, value in standin.state_dict().items()}
    random = torch.random.get_rng_state()
    export_onnx(standin, tmp_path / "a.onnx", img_size=(32, 48), metadata={})
    assert [module.training for module in standin.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(value, state[name]) for name, value in standin.state_dict().items())


def test_every_batchnorm_is_folded_wherever_it_stands(small_fp32: Path) -> None:
    """A BatchNorm outside a Sequential is folded too, and its convolution keeps a module path."""
    nodes = {node.name: node.op_type for node in onnx.load(small_fp32).graph.node}
    assert "BatchNormalization" not in nodes.values()
    assert sum(operator == "Conv" for operator in nodes.values()) == 5
    assert {"stem.0/Conv", "blocks.1.branch.0/Conv", "blocks.1/Split", "head/Conv"} <= nodes.keys()


@pytest.mark.parametrize("broken", ["stem.0.weight", "norm.running_var"])
def test_weights_that_are_not_finite_are_refused(broken: str, standin: StandIn, tmp_path: Path) -> None:
    """A training that diverged ends here, with the tensor's name, and leaves no file."""
    standin.state_dict()[broken].view(-1)[0] = float("nan")
    with pytest.raises(
        CandidateError, match=f"{broken} holds values that are not finite.*Lower the learning"
    ):
        export_onnx(standin, tmp_path / "a.onnx", img_size=(32, 48), metadata={})
    assert not list(tmp_path.iterdir())


def test_an_export_that_fails_says_why_in_one_sentence(tmp_path: Path) -> None:
    """The exporter's page of advice is cut to the cause."""
    with pytest.raises(
        CandidateError, match=r"at 32 x 48 px: .*to have 4 channels.*Change the arch"
    ) as caught:
        export_onnx(torch.nn.Conv2d(4, 5, 1), tmp_path / "a.onnx", img_size=(32, 48), metadata={})
    assert "\n" not in str(caught.value)


def test_export_and_quantization_say_nothing(
    standin: StandIn,
    small_images: NDArray[np.float32],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing on standard output or error, no warning in the log."""
    fp32 = export_onnx(standin, tmp_path / "a.onnx", img_size=(32, 48), metadata={})
    quantize_int8(fp32, tmp_path / "b.onnx", calibration=small_images)
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]


def test_another_process_makes_the_same_bytes(small_fp32: Path, small_int8: Path, tmp_path: Path) -> None:
    """Neither file depends on the order of a set or on what was exported before."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            IN_ANOTHER_PROCESS,
            str(Path(__file__).parents[1] / "contract"),
            str(tmp_path),
        ],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [model_sha256(small_fp32), model_sha256(small_int8)]


def test_all_that_follows_the_last_convolution_stays_in_float(small_int8: Path) -> None:
    """The tail is found by structure: slices, products and sums before the last concat are in it as well."""
    graph = onnx.load(small_int8).graph
    producers = {output: node for node in graph.node for output in node.output}
    waiting, operators = [graph.output[0].name], set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.op_type != "DequantizeLinear":
            operators.add(node.op_type)
            waiting.extend(node.input)
    assert {"Concat", "Sigmoid", "Mul", "Add", "Slice"} <= operators
    assert "QuantizeLinear" not in operators
    assert "Conv" not in operators


def test_weights_are_int8_per_channel_and_activations_uint8(small_int8: Path) -> None:
    """Each output channel has its scale; int8 activations would double the time on x86."""
    graph = onnx.load(small_int8).graph
    constants = {constant.name: numpy_helper.to_array(constant) for constant in graph.initializer}
    readers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in [node for node in graph.node if node.op_type == "Conv"]:
        quantized, scale, _ = readers[node.input[1]].input
        assert constants[quantized].dtype == np.int8
        assert constants[scale].shape == constants[quantized].shape[:1]
    zero_points = [constants[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"]
    assert {zero_point.dtype for zero_point in zero_points} == {np.dtype(np.uint8)}


def test_quantization_keeps_names_and_metadata(small_fp32: Path, small_int8: Path) -> None:
    """Every node but the rectifiers, which quantization absorbs, has its name; the precision changes."""
    names = {node.name for node in onnx.load(small_int8).graph.node}
    expected = [node.name for node in onnx.load(small_fp32).graph.node if node.op_type != "Relu"]
    assert names.issuperset(expected)
    fp32, int8 = (OnnxDetector(path).metadata for path in (small_fp32, small_int8))
    assert fp32 == {
        "mlflow_nas.key": "tiny",
        "mlflow_nas.precision": "fp32",
        "mlflow_nas.input": "float-nchw",
    }
    assert int8 == {**fp32, "mlflow_nas.precision": "int8", "mlflow_nas.input": "uint8-nhwc-rgbx"}


def test_a_temporary_folder_that_fails_is_named(
    small_fp32: Path, small_images: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the candidate's fault."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"fp32\.onnx can't be quantized in .*/gone: No such file.*TMPDIR"):
        quantize_int8(small_fp32, tmp_path / "b.onnx", calibration=small_images)


def test_int8_sums_do_not_saturate_on_any_cpu(tmp_path: Path) -> None:
    """Where x86 has no VNNI, the largest weights and activations would give half of the true sum."""
    layer = torch.nn.Conv2d(3, 5, 3, bias=False)
    torch.nn.init.constant_(layer.weight, 1.0)
    images = np.ones((1, 3, 32, 48), np.float32)
    fp32 = export_onnx(layer, tmp_path / "a.onnx", img_size=(32, 48), metadata={})
    int8 = quantize_int8(fp32, tmp_path / "b.onnx", calibration=images)
    assert OnnxDetector(int8)(images) == pytest.approx(27.0, rel=0.01)


def _in_int8(path: Path) -> set[str]:
    """Names of the convolutions with int8 weights, and of the sigmoids whose input is dequantized."""
    graph = onnx.load(path).graph
    restored = {output for node in graph.node if node.op_type == "DequantizeLinear" for output in node.output}
    return {
        node.name
        for node in graph.node
        if node.op_type in {"Conv", "Sigmoid"}
        and node.input[-1 if node.op_type == "Sigmoid" else 1] in restored
    }


def test_what_is_quantized_can_be_chosen_for_comparison(
    small_fp32: Path, small_int8: Path, small_images: NDArray[np.float32], tmp_path: Path
) -> None:
    """Modules by their path, the tail as well, and how ranges are found."""

    def quantized(name: str, choices: Quantization) -> Path:
        return quantize_int8(small_fp32, tmp_path / name, calibration=small_images, choices=choices)

    ships = _in_int8(small_int8)
    whole = _in_int8(quantized("whole.onnx", Quantization(float_tail=False)))
    part = _in_int8(quantized("part.onnx", Quantization(float_modules=("blocks.1", "head"))))
    assert whole - ships == {"detector/Sigmoid"}
    assert ships - part == {"blocks.1.branch.0/Conv", "head/Conv"}
    ranges = quantized("ranges.onnx", Quantization(method="percentile"))
    assert _in_int8(ranges) == ships
    extremes = quantized("extremes.onnx", Quantization(method="min-max"))
    assert len({model_sha256(path) for path in (small_int8, ranges, extremes)}) == 3

"""TFLite files on devices: timed, run, deployed; and estimates without a device."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tflite_samples import write_detector

from mlflow_nas.board import DeployedModels, DeviceBoard, EstimateBoard, FakeBoard, get_board, profile_files
from mlflow_nas.board.runtime.session import load
from mlflow_nas.config import find_device
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.types import Device

ESTIMATE = {"accelerator": "ethos-u65-256", "latency_ms": 2.5, "facts": {"compiler": "Vela 5.2.0"}}


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """This machine, with LiteRT."""
    return Device(name="here", transport="local", directory=str(tmp_path / "device"), runtime="litert")


@pytest.fixture
def board(device: Device) -> DeviceBoard:
    """A board that measures for a tenth of a second."""
    return get_board(device, budget_s=0.1)


def test_a_file_is_timed_in_turn_with_the_reference(board: DeviceBoard, tmp_path: Path) -> None:
    """By the same protocol as an ONNX file; the facts have LiteRT's version and not ONNX Runtime's."""
    small, large = write_detector(tmp_path / "a.tflite"), write_detector(tmp_path / "b.tflite", size=256)
    found = board.measure(large, reference=small)
    assert found.ratio is not None
    assert found.ratio > 1
    assert found.load_ms is not None
    assert found.load_ms > 0
    assert found.facts["litert"]
    assert "onnxruntime" not in found.facts


def test_outputs_are_those_of_the_host(board: DeviceBoard, tmp_path: Path) -> None:
    """Floats in 0..1 become the file's bytes on the device."""
    model = write_detector(tmp_path / "model.tflite")
    outputs = board.infer(model, np.full((2, 3, 32, 32), 0.5, np.float32))
    np.testing.assert_allclose(outputs, np.full((2, 5, 2, 2), 0.5), atol=1 / 255)


def test_runtime_and_accelerator_are_part_of_the_protocol(tmp_path: Path) -> None:
    """Latencies of files of different runtimes are not compared."""
    plain = Device(name="here", transport="fake", directory=str(tmp_path))
    u65 = replace(plain, runtime="vela", accelerator="ethos-u65-256")
    devices = [plain, replace(plain, runtime="litert"), u65, replace(u65, accelerator="ethos-u65-512")]
    assert len({FakeBoard(tmp_path, device=device).protocol for device in devices}) == 4


def test_what_litert_refuses_is_the_candidates_fault(board: DeviceBoard, tmp_path: Path) -> None:
    """The sentence has LiteRT's version."""
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 32)
    with pytest.raises(CandidateError, match=r"LiteRT \d.* refuses the model"):
        board.measure(broken)


def test_a_delegate_that_is_not_there_is_named(device: Device, tmp_path: Path) -> None:
    """As a mistake of the inventory."""
    model = write_detector(tmp_path / "model.tflite")
    board = get_board(replace(device, delegate=("/usr/lib/libnone.so", {})), budget_s=0.1)
    with pytest.raises(ConfigError, match=r"the delegate .*libnone.so can't be loaded: .*fix `delegate`"):
        board.measure(model)


def test_the_inputs_for_timing_are_bytes_of_both_signs(tmp_path: Path) -> None:
    """Random ones: a constant image could be faster."""
    _, run = load(str(write_detector(tmp_path / "model.tflite")), threads=1)
    (image,) = run.args[0].values()  # type: ignore[attr-defined]  # of a partial
    assert (image.dtype, image.min() < -100, image.max() > 100) == (np.int8, True, True)


def test_operators_of_a_tflite_file_have_no_profile(board: DeviceBoard, tmp_path: Path) -> None:
    """The sentence says what can be profiled."""
    with pytest.raises(ConfigError, match="LiteRT tells no time of single operators: profile the ONNX file"):
        profile_files(board, {"int8": write_detector(tmp_path / "model.tflite")}, {}, {})


def test_a_deployed_file_keeps_its_format(tmp_path: Path) -> None:
    """Store, rollback and inference use the name that the manifest gives; another format is refused."""
    board = FakeBoard(tmp_path / "device")
    models = DeployedModels(board)
    first, second = (write_detector(tmp_path / f"{size}.tflite", size=size) for size in (32, 48))
    models.install("door", first, {"format": "tflite", "version": "1"})
    models.install("door", second, {"format": "tflite", "version": "2"})
    active = models.get("door")
    assert active.intact
    assert active.path.endswith(".tflite")
    assert models.infer("door", np.zeros((1, 3, 48, 48), np.float32)).shape == (1, 5, 3, 3)
    assert models.rollback("door")["version"] == "1"
    assert models.infer("door", np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 5, 2, 2)
    with pytest.raises(BoardError, match=r"names the format '\.\./x': upgrade mlflow_nas"):
        models.install("door", first, {"format": "../x", "version": "3"})


def test_an_estimate_is_the_compilers_and_tagged_so(tmp_path: Path) -> None:
    """Of both files; no inference is timed, and the facts say so."""
    board = get_board(find_device("vela:ethos-u65-256"))
    model = write_detector(tmp_path / "a.tflite", estimate=ESTIMATE)
    reference = write_detector(tmp_path / "b.tflite", estimate={**ESTIMATE, "latency_ms": 5.0})
    found = board.measure(model, reference=reference)
    assert isinstance(board, EstimateBoard)
    assert (found.p50_ms, found.ratio, found.runs, found.board) == (2.5, 0.5, 0, "vela:ethos-u65-256")
    assert (found.facts["latency"], found.facts["compiler"]) == ("estimate", "Vela 5.2.0")
    assert board.identity()["hardware"] == dict(board.facts())
    assert board.protocol != get_board(find_device("vela:ethos-u55-256")).protocol


def test_a_file_for_another_accelerator_has_no_estimate(tmp_path: Path) -> None:
    """The sentence has both."""
    board = get_board(find_device("vela:ethos-u55-128"))
    with pytest.raises(CandidateError, match=r"no estimate for ethos-u55-128: .* for ethos-u65-256; search"):
        board.measure(write_detector(tmp_path / "a.tflite", estimate=ESTIMATE))
    with pytest.raises(CandidateError, match="compiled for no accelerator"):
        board.measure(write_detector(tmp_path / "b.tflite"))


def test_an_estimate_computes_as_the_file_for_processors(tmp_path: Path) -> None:
    """The one beside the compiled file."""
    write_detector(tmp_path / "host.tflite", size=48)
    compiled = write_detector(tmp_path / "model.tflite", host="host.tflite", estimate=ESTIMATE)
    board = get_board(find_device("vela:ethos-u65-256"))
    assert board.infer(compiled, np.zeros((2, 3, 48, 48), np.float32)).shape == (2, 5, 3, 3)


def test_nothing_is_deployed_on_an_estimate(tmp_path: Path) -> None:
    """Whatever needs a device is refused with the remedy."""
    board = get_board(find_device("vela:ethos-u65-256"))
    with pytest.raises(BoardError, match=r"is an estimate, .* Name a device of the inventory"):
        DeployedModels(board).install("door", write_detector(tmp_path / "a.tflite"), {})

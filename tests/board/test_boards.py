"""Fake and local board: the contract, and failures of the local one."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from mlflow_nas import types
from mlflow_nas.board import DeviceBoard, FakeBoard, LocalTransport, fake_latency_ms, get_board
from mlflow_nas.board.runtime.facts import processor
from mlflow_nas.board.runtime.inputs import FLOAT_NCHW, INPUT_ENTRY, UINT8_NHWC_RGBX
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.export.model_files import INPUT
from mlflow_nas.types import Device

sys.path.append(str(Path(__file__).parents[1]))
from contract.board_contract import BoardContract

Model = Callable[[int], Path]


def _local(root: Path, **fields: Any) -> Device:
    """This machine, with its directory in a folder of the test."""
    return Device(name="local", transport="local", directory=str(root / "local"), **fields)


class TestFakeBoard(BoardContract):
    @pytest.fixture
    def board(self, tmp_path: Path) -> DeviceBoard:
        """The fake board."""
        return FakeBoard(tmp_path / "fake")


class TestLocalBoard(BoardContract):
    @pytest.fixture
    def board(self, tmp_path: Path) -> DeviceBoard:
        """This machine."""
        return get_board(_local(tmp_path), budget_s=0.05)


def test_fake_latency_is_the_formula(tmp_path: Path, make_model: Model) -> None:
    """The fake's median follows from the size of the file and of its input alone."""
    model = make_model(5)
    expected = fake_latency_ms(model.stat().st_size, 32, 48)
    assert FakeBoard(tmp_path / "fake").measure(model).p50_ms == expected


def test_fake_fails_on_command(tmp_path: Path, make_model: Model) -> None:
    """The fake raises the test's error."""
    board = FakeBoard(tmp_path / "fake", fail_on={"time": BoardError("unplugged")})
    with pytest.raises(BoardError, match="unplugged"):
        board.measure(make_model(5))


def test_the_fakes_speed_changes_raw_times_only(tmp_path: Path, make_model: Model) -> None:
    """A slower machine multiplies every wall-clock time; ratio and so `latency_ms` stay the same."""
    board = FakeBoard(tmp_path / "fake")
    before = board.measure(make_model(6), reference=make_model(5))
    board.speed = 3.0
    after = board.measure(make_model(6), reference=make_model(5))
    assert after.ratio == before.ratio
    assert after.metrics(reference_ms=7.0)["latency_ms"] == before.metrics(reference_ms=7.0)["latency_ms"]
    for name in ("p50_ms", "p90_ms", "p99_ms", "min_ms", "mean_ms", "reference_p50_ms"):
        assert getattr(after, name) == pytest.approx(3 * getattr(before, name))


def test_the_fake_can_be_unstable(tmp_path: Path, make_model: Model) -> None:
    """With the cause that the test sets."""
    board = FakeBoard(tmp_path / "fake")
    board.unstable_cause = "the board throttled (cooling_state 2)"
    found = board.measure(make_model(5))
    assert (found.unstable, found.unstable_cause) == (True, board.unstable_cause)


def test_the_protocol_is_what_must_be_equal_to_compare(tmp_path: Path) -> None:
    """Threads, cores and providers with their options change it; name and directory don't."""

    def protocol(**fields: Any) -> str:
        return get_board(_local(tmp_path, **fields)).protocol

    providers = (("CPUExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"}),)
    others = [protocol(threads=2), protocol(cpu_affinity=(0,)), protocol(providers=providers)]
    assert len({protocol(), *others}) == 4
    assert FakeBoard(tmp_path / "fake").protocol == FakeBoard(tmp_path / "elsewhere").protocol
    assert protocol() == get_board(replace(_local(tmp_path), name="other")).protocol
    assert protocol(threads=2) == get_board(_local(tmp_path), threads=2).protocol


@pytest.mark.parametrize(
    ("facts", "entries"),
    [
        ({"machine": "x86_64", "int8": "avx2"}, {"session.x64quantprecision": "1"}),
        ({"machine": "AMD64"}, {"session.x64quantprecision": "1"}),
        ({"machine": "x86_64", "int8": "avx2,avx_vnni"}, {}),
        ({"machine": "x86_64", "int8": "avx2,avx512_vnni"}, {}),
        ({"machine": "aarch64", "int8": "asimddp"}, {}),
    ],
)
def test_the_processor_decides_the_session_options(facts: dict[str, str], entries: dict[str, str]) -> None:
    """Only x86 without VNNI saturates 16-bit sums, and needs slower kernels for it."""
    assert session_options(facts)["config_entries"] == entries


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("flags\t\t: fpu avx2 avx512_vnni sse", "avx2,avx512_vnni"),
        ("Features\t: fp asimd asimddp i8mm", "asimddp,i8mm"),
        ("flags\t\t: fpu sse", None),
    ],
)
def test_the_facts_name_the_int8_instructions(line: str, found: str | None, tmp_path: Path) -> None:
    """As /proc/cpuinfo has them, absent without any."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(f"processor\t: 0\n{line}\n")
    assert processor(str(tmp_path)).get("int8") == found


def test_another_processor_has_another_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Latencies with and without the option are not compared."""
    board = FakeBoard(tmp_path / "fake")
    before = board.protocol
    other = FakeBoard(tmp_path / "fake")
    monkeypatch.setattr(other, "facts", lambda: {"machine": "x86_64", "int8": "avx2"})
    assert other.protocol != before
    assert other.session_options["config_entries"] == {"session.x64quantprecision": "1"}


def test_the_identity_is_what_a_measurement_depends_on(tmp_path: Path) -> None:
    """Timing, environment and session are part of it; the device is asked once."""
    device = replace(FakeBoard(tmp_path / "fake").device, environment={"OMP_WAIT_POLICY": "PASSIVE"})
    board = FakeBoard(tmp_path / "fake", device=device)
    found = board.identity()
    assert json.loads(json.dumps(found)) == found
    assert found["environment"] == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert found["hardware"]["machine"] == "fake"
    assert found["timing"]["min_runs"] == 20
    assert board.identity() is found
    assert FakeBoard(tmp_path / "fake").identity() != found


def test_slow_command_is_stopped(tmp_path: Path) -> None:
    """A command over its time limit is stopped, and the error has its last output."""
    code = "import sys, time; print('half way', file=sys.stderr, flush=True); time.sleep(60)"
    with pytest.raises(BoardError, match=r"did not end within 0.5 s .*half way"):
        LocalTransport(tmp_path).run([sys.executable, "-S", "-c", code], timeout_s=0.5)


def test_death_is_a_board_error(tmp_path: Path) -> None:
    """A process that dies without an answer raises BoardError with its code."""
    board = get_board(_local(tmp_path, python=(sys.executable, "-c", "import os; os.abort()")))
    with pytest.raises(BoardError, match="code -6 without an answer"):
        board.facts()


def test_environment_cores_and_threads_reach_the_device(tmp_path: Path, make_model: Model) -> None:
    """The device's Python gets the variables; the process stays on its cores."""
    pinned = _local(tmp_path, environment={"NAS_SEEN": "yes"}, cpu_affinity=(0,), threads=2)
    code = "import os, sys; sys.exit(0 if os.environ.get('NAS_SEEN') == 'yes' else 3)"
    assert get_board(pinned, budget_s=0.05).measure(make_model(5)).facts["threads"] == "2"
    with pytest.raises(BoardError, match="code 0 without an answer"):
        get_board(replace(pinned, python=(sys.executable, "-c", code))).facts()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cpu_affinity": (4095,)}, r"can't be pinned to the cores \[4095\].*fix cpu_affinity"),
        ({"providers": (("XnnpackExecutionProvider", {}),)}, "has no XnnpackExecutionProvider: it has .*CPU"),
    ],
)
def test_an_impossible_record_is_a_config_error(
    tmp_path: Path, make_model: Model, fields: dict[str, Any], sentence: str
) -> None:
    """A missing core or provider is refused, not ignored."""
    with pytest.raises(ConfigError, match=sentence):
        get_board(_local(tmp_path, **fields), budget_s=0.05).measure(make_model(5))


def _bytes_file(path: Path, contract: str) -> Path:
    """A file that gives back the bytes it takes, [1, 4, 5, 4], as floats."""
    graph = helper.make_graph(
        [helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT)],
        "bytes",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 4, 5, 4])],
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 4, 5, 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    model.metadata_props.add(key=INPUT_ENTRY, value=contract)
    onnx.save(model, path)
    return path


def test_a_file_gets_what_its_metadata_names(tmp_path: Path) -> None:
    """Images are floats for every caller; the device makes rows of RGB and a zero of them."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.float32)
    board = FakeBoard(tmp_path / "fake")
    found = board.infer(_bytes_file(tmp_path / "bytes.onnx", UINT8_NHWC_RGBX), images / np.float32(255))
    assert np.array_equal(found[..., :3], images.transpose(0, 2, 3, 1))
    assert not found[..., 3].any()
    with pytest.raises(ConfigError, match=r"images are \[1, 3, 5, 4\], the model takes \['n', 3, 4, 5\]"):
        board.infer(tmp_path / "bytes.onnx", np.zeros((1, 3, 5, 4), np.float32))
    with pytest.raises(
        CandidateError, match=r"mlflow_nas\.input is 'yuv', known are float-nchw, uint8-nhwc-rgbx"
    ):
        board.infer(_bytes_file(tmp_path / "other.onnx", "yuv"), images)


def test_host_and_device_name_the_contracts_alike() -> None:
    """The device's package stands alone: it has the names a second time."""
    assert (types.FLOAT_NCHW, types.UINT8_NHWC_RGBX) == (FLOAT_NCHW, UINT8_NHWC_RGBX)
    assert INPUT == INPUT_ENTRY

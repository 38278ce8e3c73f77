"""The two boards pass one contract; the local one survives what goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import DeviceBoard, FakeBoard, LocalTransport, fake_latency_ms, get_board
from mlflow_nas.errors import BoardError, ConfigError
from mlflow_nas.types import Device

sys.path.append(str(Path(__file__).parents[1]))
from contract.board_contract import BoardContract

Model = Callable[[int], Path]

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from mlflow_nas.board import runtime
left = int(sys.argv[2])
def deadly(function):
    def call(*args, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **options)
    return call
for name in ("replace", "fsync", "unlink", "mkdir"):
    setattr(os, name, deadly(getattr(os, name)))
sys.exit(runtime.main(sys.argv[3:], sys.stdout))
"""


def _local(root: Path, **fields: Any) -> Device:
    """This machine, keeping its things in a folder of the test."""
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
        return get_board(_local(tmp_path), budget_s=0.1)


def test_fake_latency_is_the_formula(tmp_path: Path, make_model: Model) -> None:
    """The fake's median follows from the size of the file and of its input alone."""
    model = make_model(5)
    expected = fake_latency_ms(model.stat().st_size, 32, 48)
    assert FakeBoard(tmp_path / "fake").measure(model).p50_ms == expected


def test_fake_fails_on_command(tmp_path: Path, make_model: Model) -> None:
    """The fake raises what the test gave it."""
    board = FakeBoard(tmp_path / "fake", fail_on={"time": BoardError("unplugged")})
    with pytest.raises(BoardError, match="unplugged"):
        board.measure(make_model(5))


def test_slow_command_is_stopped(tmp_path: Path) -> None:
    """A command past its time is stopped, and the error holds its last output."""
    code = "import sys, time; print('half way', file=sys.stderr, flush=True); time.sleep(60)"
    with pytest.raises(BoardError, match=r"did not end within 2 s .*half way"):
        LocalTransport(tmp_path).run([sys.executable, "-c", code], timeout_s=2)


def test_death_is_the_boards_fault(tmp_path: Path) -> None:
    """A process that dies without an answer raises BoardError with its code."""
    board = get_board(_local(tmp_path, python=(sys.executable, "-c", "import os; os.abort()")))
    with pytest.raises(BoardError, match="code -6 without an answer"):
        board.facts()


def test_kill_at_any_step_leaves_old_or_new(tmp_path: Path, make_model: Model) -> None:
    """After kill -9 before each step of an install, the active manifest names a whole file, old or new."""
    old, new, seen = make_model(5), make_model(6), set()
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    for step in range(40):
        root = tmp_path / f"step-{step}"
        board = FakeBoard(root)
        board.install("person", old, {"version": "old"})
        staged = root / "staged.onnx"
        staged.write_bytes(new.read_bytes())
        options = {"root": str(root / "deployed"), "name": "person", "staged": str(staged)}
        options |= {"sha256": sha256(new.read_bytes()).hexdigest()}
        command = [sys.executable, str(script), str(Path(__file__).parents[2]), str(step), "install"]
        code = subprocess.run(
            [*command, json.dumps({**options, "manifest": {"version": "new"}})],
            capture_output=True,
            check=False,
        ).returncode
        active = board.get_model("person")
        assert active is not None
        file = root / "deployed/person/models" / f"{active['sha256']}.onnx"
        assert sha256(file.read_bytes()).hexdigest() == active["sha256"]
        seen.add(active["version"])
        if code == 0:
            break
    assert code == 0
    assert step >= 6
    assert seen == {"old", "new"}


def test_environment_cores_and_threads_reach_the_device(tmp_path: Path, make_model: Model) -> None:
    """The device's Python gets the variables; the process stays on its cores."""
    pinned = _local(tmp_path, environment={"NAS_SEEN": "yes"}, cpu_affinity=(0,), threads=2)
    code = "import os, sys; sys.exit(0 if os.environ.get('NAS_SEEN') == 'yes' else 3)"
    assert get_board(pinned, budget_s=0.1).measure(make_model(5)).facts["threads"] == "2"
    with pytest.raises(BoardError, match="code 0 without an answer"):
        get_board(replace(pinned, python=(sys.executable, "-c", code))).facts()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cpu_affinity": (4095,)}, r"can't stay on the cores \[4095\].*mend cpu_affinity"),
        ({"providers": (("XnnpackExecutionProvider", {}),)}, "has no XnnpackExecutionProvider: it has .*CPU"),
    ],
)
def test_a_record_that_the_device_cant_follow_is_the_users_fault(
    tmp_path: Path, make_model: Model, fields: dict[str, Any], sentence: str
) -> None:
    """A core or a provider that is not there is refused, not ignored."""
    with pytest.raises(ConfigError, match=sentence):
        get_board(_local(tmp_path, **fields), budget_s=0.1).measure(make_model(5))

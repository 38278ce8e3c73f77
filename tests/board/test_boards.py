"""The two boards pass one contract; the local one survives what goes wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from mlflow_nas.board import DeviceBoard, FakeBoard, LocalTransport, fake_latency_ms, get_board
from mlflow_nas.errors import BoardError, ConfigError

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


class TestFakeBoard(BoardContract):
    @pytest.fixture
    def board(self, tmp_path: Path) -> DeviceBoard:
        """The fake board."""
        return get_board("fake", root=tmp_path / "fake")


class TestLocalBoard(BoardContract):
    @pytest.fixture
    def board(self, tmp_path: Path) -> DeviceBoard:
        """This machine."""
        return get_board("local", root=tmp_path / "local", budget_s=0.1)


def test_unknown_device_lists_the_known_ones(tmp_path: Path) -> None:
    """A wrong name is the user's fault and names the right ones."""
    with pytest.raises(ConfigError, match=r"'nano' is unknown; .*fake, local"):
        get_board("nano", root=tmp_path)


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


def test_death_is_the_boards_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies without an answer raises BoardError with its code."""
    board = get_board("local", root=tmp_path)
    monkeypatch.setattr(LocalTransport, "python", (sys.executable, "-c", "import os; os.abort()"))
    with pytest.raises(BoardError, match="code -6 without an answer"):
        board.facts()


def test_kill_at_any_step_leaves_old_or_new(tmp_path: Path, make_model: Model) -> None:
    """After kill -9 before each step of an install, the active manifest names a whole file, old or new."""
    old, new, seen = make_model(5), make_model(6), set()
    script = tmp_path / "killed.py"
    script.write_text(KILLED, encoding="utf-8")
    for step in range(40):
        root = tmp_path / f"step-{step}"
        board = get_board("fake", root=root)
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

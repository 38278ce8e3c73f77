"""The two boards pass one contract; the local one survives what goes wrong."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import DeviceBoard, FakeBoard, LocalTransport, fake_latency_ms, get_board
from mlflow_nas.errors import BoardError, ConfigError
from mlflow_nas.types import Device

sys.path.append(str(Path(__file__).parents[1]))
from contract.board_contract import BoardContract

Model = Callable[[int], Path]


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

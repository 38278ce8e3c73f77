"""Measurements are exclusive between searches, also when a holder dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.errors import BoardError
from mlflow_nas.types import Device

Model = Callable[[int], Path]

HOLDER = """
import sys, time
from mlflow_nas.board.runtime.lock import exclusive
with exclusive(sys.argv[1], "ada@desk", 0):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def _held(lock: Path, seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another search's process that holds the device."""
    command = [sys.executable, "-c", HOLDER, str(lock), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


def _board(folder: Path, wait_s: float) -> DeviceBoard:
    device = Device(name="local", transport="local", directory=str(folder))
    return get_board(device, budget_s=0.1, wait_s=wait_s)


def test_a_busy_device_names_its_holder(tmp_path: Path, make_model: Model) -> None:
    """A search that waited in vain reads who measures there, and since when."""
    with _held(tmp_path / "lock", 60) as holder:
        sentence = rf"measuring for ada@desk, since .* \(process {holder.pid} there\).*not free within 0\.5 s"
        with pytest.raises(BoardError, match=sentence):
            _board(tmp_path, 0.5).measure(make_model(5))


def test_a_second_search_waits_for_the_first(tmp_path: Path, make_model: Model) -> None:
    """It measures as soon as the device is free."""
    started = time.monotonic()
    with _held(tmp_path / "lock", 3):
        assert _board(tmp_path, 30).measure(make_model(5)).runs > 0
    assert time.monotonic() - started > 2


def test_the_lock_dies_with_its_holder(tmp_path: Path, make_model: Model) -> None:
    """A killed search leaves nothing behind that somebody would have to remove."""
    with _held(tmp_path / "lock", 60) as holder:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert _board(tmp_path, 0).measure(make_model(5)).runs > 0


def test_a_local_measurement_ends_with_its_host(tmp_path: Path, make_model: Model) -> None:
    """A search that is killed does not go on measuring on the device."""
    code = f"""
from mlflow_nas.board import get_board
from mlflow_nas.types import Device
from pathlib import Path
device = Device(name="local", transport="local", directory={str(tmp_path)!r})
get_board(device, budget_s=60).measure(Path({str(make_model(5))!r}))
"""
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", code]) as host:
        while not (lock.is_file() and lock.read_text(encoding="utf-8")):
            time.sleep(0.1)
        host.kill()
    assert _board(tmp_path, 10).measure(make_model(6)).runs > 0

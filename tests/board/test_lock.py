"""Measurements of several processes exclude each other, also when a holder dies."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.errors import BoardError
from mlflow_nas.types import Device

Model = Callable[[int], Path]

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from mlflow_nas.board.runtime.lock import device_lock
with device_lock(sys.argv[2], "ada@desk", 0):
    print("held", flush=True)
    time.sleep(60)
"""


def _board(folder: Path, wait_s: float) -> DeviceBoard:
    device = Device(name="local", transport="local", directory=str(folder))
    return get_board(device, budget_s=0.05, wait_s=wait_s)


def test_a_busy_device_names_its_holder(tmp_path: Path, make_model: Model) -> None:
    """The error after a vain wait has the holder, its start and its process."""
    message = rf"measuring for ada@desk, since .* \(its process {os.getpid()}\).*not free within 0\.3 s"
    with device_lock(str(tmp_path / "lock"), "ada@desk", 0), pytest.raises(BoardError, match=message):
        _board(tmp_path, 0.3).measure(make_model(5))


def test_a_second_measurement_waits_for_the_first(tmp_path: Path, make_model: Model) -> None:
    """It starts as soon as the device is free."""
    lock = ExitStack()
    lock.enter_context(device_lock(str(tmp_path / "lock"), "ada@desk", 0))
    released = list[float]()

    def release() -> None:
        released.append(time.monotonic())
        lock.close()

    timer = threading.Timer(1.0, release)
    timer.start()
    assert _board(tmp_path, 30).measure(make_model(5)).runs > 0
    assert released, "the measurement ended after the holder"
    timer.join()


def test_the_lock_dies_with_its_holder(tmp_path: Path, make_model: Model) -> None:
    """A killed process leaves nothing to clean up."""
    bundle = tmp_path / "runtime.zip"
    bundle.write_bytes(runtime_bundle())
    command = [sys.executable, "-I", "-c", HOLDER, str(bundle), str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
    assert _board(tmp_path, 0).measure(make_model(5)).runs > 0


def test_a_local_measurement_ends_with_its_host(tmp_path: Path, make_model: Model) -> None:
    """After a kill of the host process the device's process ends."""
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

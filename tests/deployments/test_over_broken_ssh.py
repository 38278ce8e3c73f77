"""Failures of an SSH device: the active version stays."""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from ssh_server import SshServer, new_key

from mlflow_nas.board import DeployedModels, FakeBoard, get_board
from mlflow_nas.deployments import switch as switch_module

Register = Callable[..., str]
Nano = Callable[..., None]

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("ssh_home")]

MODEL = "models:/person-detector@champion"
TARGET = "nas-edge://nano"


@pytest.fixture
def nano(
    ssh_home: Path,  # noqa: ARG001 - it has the host key
    store: MlflowClient,  # noqa: ARG001 - it changes the directory
    register: Register,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Nano:
    """Writes an inventory with the SSH device; version 1 was measured on it."""

    def write(**fields: Any) -> None:
        entry = {"transport": "ssh", "host": "board", "directory": str(tmp_path / "device")}
        record = {**entry, "python": sys.executable, **fields}
        (tmp_path / "devices.yaml").write_text(yaml.safe_dump({"devices": {"nano": record}}), "utf-8")

    monkeypatch.setattr(switch_module, "get_board", partial(get_board, budget_s=0.05))
    write()
    register(**{"nas.board": "nano"})
    return write


def _models(folder: Path) -> DeployedModels:
    """The device's deployed models, without its SSH server."""
    return DeployedModels(FakeBoard(folder))


def _install(folder: Path, model: Path) -> None:
    _models(folder).install("door", model, {"model": "person-detector", "version": "1"})


def _active(folder: Path) -> tuple[str, bool]:
    """The active version, and whether its file is intact."""
    found = _models(folder).get("door")
    return found.manifest["version"], found.intact


@pytest.fixture
def deployed(nano: Nano, register: Register, tmp_path: Path) -> Nano:
    """Version 1 is active as `door`, version 2 is the champion."""
    _install(tmp_path / "device", tmp_path / "registered-0/model.onnx")
    register(**{"nas.board": "nano"})
    return nano


@pytest.mark.usefixtures("deployed")
def test_a_deployment_survives_a_crash_of_the_server(ssh_server: SshServer, tmp_path: Path) -> None:
    """The session's process is killed while the device runs the golden samples: they are run again."""
    lock = tmp_path / "device/lock"
    before = lock.read_text(encoding="utf-8")

    def crash() -> None:
        while lock.read_text(encoding="utf-8") in ("", before):
            time.sleep(0.001)
        ssh_server.signal_sessions()

    killer = threading.Thread(target=crash)
    killer.start()
    edge = get_deploy_client(TARGET)
    assert edge.update_deployment("door", MODEL, config={"max_regression": "5"})["version"] == "2"
    killer.join()
    assert _active(tmp_path / "device") == ("2", True)


def _refused(message: str) -> None:
    with pytest.raises(MlflowException, match=message):
        get_deploy_client(TARGET).update_deployment("door", MODEL, config={"max_regression": "5"})


@pytest.mark.usefixtures("deployed")
def test_another_host_key_stops_a_deployment(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """Nothing is sent to a host with another key than before."""
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text(encoding="utf-8")
    (ssh_home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{ssh_server.port} {other}", encoding="utf-8")
    _refused(r"host key of .* changed: .*ssh-keygen -f .* -R '\[127")
    assert _active(tmp_path / "device") == ("1", True)


@pytest.mark.parametrize(
    ("python", "message"),
    [("/nowhere/python3", "/nowhere/python3"), (f"{sys.executable} -S -I", "No module named 'numpy'")],
)
def test_a_wrong_python_stops_a_deployment(deployed: Nano, python: str, message: str, tmp_path: Path) -> None:
    """A missing one and one without packages: the active version stays."""
    deployed(python=python)
    _refused(message)
    assert _active(tmp_path / "device") == ("1", True)


@pytest.fixture
def small_device(nano: Nano, register: Register, full_disk: Path, tmp_path: Path) -> Path:
    """Version 1 is active as `door` on a small disk; version 2 is the champion."""
    nano(directory=str(full_disk))
    _install(full_disk, tmp_path / "registered-0/model.onnx")
    register(**{"nas.board": "nano"})
    return full_disk


def test_a_full_disk_stops_a_deployment(small_device: Path) -> None:
    """The error has the free space and the active version."""
    filler = small_device / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    _refused(r"can't store model.onnx .*df: tmpfs.*Version 1 is active as door on nano")
    assert _active(small_device) == ("1", True)

"""The doctor's findings and remedies."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ssh_server import SshServer, free_port

from mlflow_nas.board import Check, check_device, device_status
from mlflow_nas.board.doctor import check_conditions, check_libraries, check_record
from mlflow_nas.board.runtime.lock import device_lock, lock_holder
from mlflow_nas.types import Device


def _local(root: Path, **fields: Any) -> Device:
    """This machine, with its directory in a folder of the test."""
    return Device(name="local", transport="local", directory=str(root / "device"), **fields)


NANO = Device(name="nano", transport="ssh", host="nano", user="me", port=2222, directory="mlflow_nas")


def _by_name(checks: list[Check]) -> Mapping[str, Check]:
    return {check.name: check for check in checks}


def test_a_working_device_has_no_error(tmp_path: Path) -> None:
    """Every check has a finding; only problems have a remedy."""
    checks = _by_name(check_device(_local(tmp_path)))
    assert {"connection", "python", "directory", "numpy", "onnxruntime", "providers"} <= checks.keys()
    assert {"disk", "load", "lock"} <= checks.keys()
    assert {check.state for check in checks.values()} <= {"ok", "warning"}
    assert all(check.found and bool(check.remedy) == (check.state != "ok") for check in checks.values())


def test_the_fake_needs_nothing(tmp_path: Path) -> None:
    """A formula has no connection, no Python and no load."""
    (check,) = check_device(Device(name="fake", transport="fake", directory=str(tmp_path)))
    assert check.state == "ok"


def _script(path: Path, body: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return (str(path),)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("echo '[3, 7, 3]'", r"is 3.7.3, 3.9 is the oldest"),
        ("echo perl >&2; exit 2", r"is no working Python: perl"),
    ],
)
def test_a_wrong_python_is_named(tmp_path: Path, body: str, found: str) -> None:
    """Too old, or another program; the later checks need it and are left out."""
    checks = check_device(_local(tmp_path, python=_script(tmp_path / "python", body)))
    assert [check.name for check in checks] == ["connection", "python"]
    assert found in checks[-1].found
    assert "apt-get install python3" in checks[-1].remedy


def test_a_missing_python_is_named(tmp_path: Path) -> None:
    """The inventory's command does not exist."""
    check = check_device(_local(tmp_path, python=("no-such-python",)))[-1]
    assert (check.name, check.state) == ("python", "error")
    assert "'no-such-python', does not run" in check.found


def test_missing_libraries_are_named(tmp_path: Path) -> None:
    """A Python without packages: pip is the remedy; the other checks are made."""
    checks = _by_name(check_device(_local(tmp_path, python=(sys.executable, "-S"))))
    assert checks["numpy"].state == checks["onnxruntime"].state == "error"
    assert "No module named 'numpy'" in checks["numpy"].found
    assert checks["numpy"].remedy.endswith("-S -m pip install numpy")
    assert checks["lock"].state == "ok"


def test_a_directory_that_cant_be_created_is_named(tmp_path: Path) -> None:
    """A file has its name."""
    (tmp_path / "device").write_text("in the way")
    check = check_device(_local(tmp_path))[-1]
    assert (check.name, check.state) == ("directory", "error")
    assert f"df -h {tmp_path}/device" in check.remedy


def test_a_runtime_that_dies_is_named(tmp_path: Path) -> None:
    """An onnxruntime built for another processor ends the process: the command shows it."""
    body = 'case "$1" in -c) echo "[3, 11, 0]";; *) kill -ILL $$;; esac'
    check = check_device(_local(tmp_path, python=_script(tmp_path / "python", body)))[-1]
    assert (check.name, check.state) == ("runtime", "error")
    assert "import numpy, onnxruntime" in check.remedy


def test_a_running_measurement_is_named(tmp_path: Path) -> None:
    """The lock's holder, and the command that ends it."""
    lock = tmp_path / "device/lock"
    with device_lock(str(lock), "ann@desk", 0):
        check = _by_name(check_device(_local(tmp_path)))["lock"]
    assert check.state == "warning"
    assert "measures for ann@desk" in check.found
    assert "kill " in check.remedy
    assert lock_holder(str(lock)) == "", "the lock is free again"


def test_remedies_run_on_the_device() -> None:
    """The command line is an ssh command with the record's user and port."""
    report = {"modules": {"onnxruntime": {"error": "ImportError: libgomp.so.1"}}}
    (check,) = check_libraries(NANO, report)
    assert check.remedy == "ssh -p 2222 me@nano 'python3 -m pip install onnxruntime'"


def test_missing_providers_and_cores_are_named() -> None:
    """Of the record in the inventory."""
    device = Device(
        **{name: getattr(NANO, name) for name in ("name", "transport", "host", "directory")},
        providers=(("XnnpackExecutionProvider", {}),),
        cpu_affinity=(3, 9),
    )
    checks = _by_name(list(check_record(device, {"providers": ["CPUExecutionProvider"], "cores": 4})))
    assert (
        "XnnpackExecutionProvider is missing; available are CPUExecutionProvider" in checks["providers"].found
    )
    assert "cpu_affinity names core 9, the device has 0 to 3" in checks["cores"].found


def _report(**conditions: str) -> dict[str, Any]:
    return {"conditions": conditions, "free_bytes": 10**9, "holder": ""}


@pytest.mark.parametrize(
    ("report", "name", "found", "remedy"),
    [
        (_report(governor="ondemand"), "governor", "ondemand", "echo performance | sudo tee"),
        (_report(cooling_state="2"), "throttling", "throttles (cooling_state 2)", "cool it"),
        (_report(throttle_flags="50005"), "throttling", "throttles (throttle_flags 50005)", "power supply"),
        (_report(load_1min="1.50"), "load", "1.50 over the last minute", "top -bn1"),
        ({**_report(), "free_bytes": 10**8}, "disk", "100 MB free", "du -xh"),
    ],
)
def test_disturbed_measurements_are_a_warning(
    report: dict[str, Any], name: str, found: str, remedy: str
) -> None:
    """Each with finding and remedy."""
    check = _by_name(list(check_conditions(NANO, "/home/me/mlflow_nas", report)))[name]
    assert check.state == "warning"
    assert found in check.found
    assert remedy in check.remedy


def test_a_quiet_device_has_no_warning() -> None:
    """Performance governor, no load."""
    report = _report(governor="performance", cooling_state="0", throttle_flags="50000", load_1min="0.1")
    assert {check.state for check in check_conditions(NANO, "/", report)} == {"ok"}


def test_unreadable_conditions_are_not_checked() -> None:
    """A system without /proc has no load, not a load of zero."""
    assert {check.name for check in check_conditions(NANO, "/", _report())} == {"disk", "lock"}


def test_an_unusable_record_is_an_error() -> None:
    """The key file is missing: ssh-keygen creates one."""
    device = Device(name="nano", transport="ssh", host="nano", directory="d", key_file=Path("/no/key"))
    (check,) = check_device(device)
    assert "ssh-keygen" in check.found


@pytest.mark.services
class TestOverSsh:
    """With an SSH server."""

    def _device(self, folder: Path, **fields: Any) -> Device:
        settings = {"host": "board", "python": (sys.executable,), **fields}
        return Device(name="nano", transport="ssh", directory=str(folder / "device"), **settings)

    @pytest.mark.usefixtures("ssh_home")
    def test_a_working_board(self, tmp_path: Path) -> None:
        """The same checks as for this machine."""
        assert {check.state for check in check_device(self._device(tmp_path))} <= {"ok", "warning"}

    def test_an_unknown_host(self, ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
        """The remedy is the command alone."""
        ssh_server.write_home(ssh_home, known=False)
        (check,) = check_device(self._device(tmp_path))
        assert check.remedy == "ssh board"
        assert "is unknown: it shows the ssh-ed25519 key" in check.found

    @pytest.mark.usefixtures("ssh_home")
    def test_the_status_of_several_devices(self, tmp_path: Path) -> None:
        """One is ready, one has no working Python, one is off: a row each, in the inventory's order."""
        devices = [
            self._device(tmp_path),
            self._device(tmp_path, python=("false",)),
            self._device(tmp_path, host="127.0.0.1", port=free_port()),
        ]
        rows = device_status(devices)
        assert [row["state"] for row in rows] == ["ready", "not ready", "unreachable"]
        assert rows[0]["facts"]["onnxruntime"]
        assert "can't be reached" in rows[2]["error"]

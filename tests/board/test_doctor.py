"""What the doctor finds, and which command it gives."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ssh_server import SshServer, free_port

from mlflow_nas.board import Check, examine, survey
from mlflow_nas.board.doctor import _conditions, _libraries, _record
from mlflow_nas.board.runtime.lock import exclusive, holder_of
from mlflow_nas.types import Device


def _local(root: Path, **fields: Any) -> Device:
    """This machine, keeping its things in a folder of the test."""
    return Device(name="local", transport="local", directory=str(root / "device"), **fields)


NANO = Device(name="nano", transport="ssh", host="nano", user="me", port=2222, directory="mlflow_nas")


def _by_name(checks: list[Check]) -> Mapping[str, Check]:
    return {check.name: check for check in checks}


def test_a_device_that_is_well_has_no_error(tmp_path: Path) -> None:
    """Every check has what was found; only what is wrong has a remedy."""
    checks = _by_name(examine(_local(tmp_path)))
    assert {
        "way",
        "python",
        "folder",
        "numpy",
        "onnxruntime",
        "providers",
        "disk",
        "load",
        "lock",
    } <= checks.keys()
    assert {check.state for check in checks.values()} <= {"ok", "warning"}
    assert all(check.found and bool(check.remedy) == (check.state != "ok") for check in checks.values())


def test_the_fake_needs_nothing(tmp_path: Path) -> None:
    """A formula has no way, no Python and no load."""
    (check,) = examine(Device(name="fake", transport="fake", directory=str(tmp_path)))
    assert check.state == "ok"


def _script(path: Path, body: str) -> tuple[str, ...]:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return (str(path),)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("echo '[3, 7, 3]'", r"is 3.7.3, 3.9 is the oldest"),
        ("echo perl >&2; exit 2", r"is no Python that runs: perl"),
    ],
)
def test_a_wrong_python_is_named(tmp_path: Path, body: str, found: str) -> None:
    """Too old, or something else; what comes after depends on it."""
    checks = examine(_local(tmp_path, python=_script(tmp_path / "python", body)))
    assert [check.name for check in checks] == ["way", "python"]
    assert found in checks[-1].found
    assert "apt-get install python3" in checks[-1].remedy


def test_a_missing_python_is_named(tmp_path: Path) -> None:
    """The inventory's command does not exist."""
    check = examine(_local(tmp_path, python=("no-such-python",)))[-1]
    assert (check.name, check.state) == ("python", "error")
    assert "'no-such-python', does not run" in check.found


def test_missing_libraries_are_named(tmp_path: Path) -> None:
    """A Python without packages: pip is the remedy; the other checks go on."""
    checks = _by_name(examine(_local(tmp_path, python=(sys.executable, "-S"))))
    assert checks["numpy"].state == checks["onnxruntime"].state == "error"
    assert "No module named 'numpy'" in checks["numpy"].found
    assert checks["numpy"].remedy.endswith("-S -m pip install numpy")
    assert checks["lock"].state == "ok"


def test_a_folder_that_cant_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "device").write_text("in the way")
    check = examine(_local(tmp_path))[-1]
    assert (check.name, check.state) == ("folder", "error")
    assert f"df -h {tmp_path}/device" in check.remedy


def test_a_runtime_that_dies_is_named(tmp_path: Path) -> None:
    """An onnxruntime built for another processor ends the process: the command shows it."""
    body = 'case "$1" in -c) echo "[3, 11, 0]";; *) kill -ILL $$;; esac'
    check = examine(_local(tmp_path, python=_script(tmp_path / "python", body)))[-1]
    assert (check.name, check.state) == ("runtime", "error")
    assert "import numpy, onnxruntime" in check.remedy


def test_who_measures_is_named(tmp_path: Path) -> None:
    """The lock's holder, and how to end it."""
    lock = tmp_path / "device/lock"
    with exclusive(str(lock), "ann@desk", 0):
        check = _by_name(examine(_local(tmp_path)))["lock"]
    assert check.state == "warning"
    assert "measures for ann@desk" in check.found
    assert "kill " in check.remedy
    assert holder_of(str(lock)) == "", "the lock is free again"


def test_remedies_are_typed_here_and_run_there() -> None:
    """The command goes through ssh with the record's user and port."""
    seen = {"modules": {"onnxruntime": {"error": "ImportError: libgomp.so.1"}}}
    (check,) = _libraries(NANO, seen)
    assert check.remedy == "ssh -p 2222 me@nano 'python3 -m pip install onnxruntime'"


def test_what_the_record_asks_for_must_be_there() -> None:
    """A provider and a core that the device has not."""
    device = Device(
        **{name: getattr(NANO, name) for name in ("name", "transport", "host", "directory")},
        providers=(("XnnpackExecutionProvider", {}),),
        cpu_affinity=(3, 9),
    )
    checks = _by_name(list(_record(device, {"providers": ["CPUExecutionProvider"], "cores": 4})))
    assert "XnnpackExecutionProvider is missing; there are CPUExecutionProvider" in checks["providers"].found
    assert "cpu_affinity names core 9, there are 0 to 3" in checks["cores"].found


def _seen(**conditions: str) -> dict[str, Any]:
    return {"conditions": conditions, "free_bytes": 10**9, "holder": ""}


@pytest.mark.parametrize(
    ("seen", "name", "found", "remedy"),
    [
        (_seen(governor="ondemand"), "governor", "ondemand", "echo performance | sudo tee"),
        (_seen(cooling_state="2"), "throttling", "throttles itself", "cool it"),
        (_seen(throttle_flags="50005"), "throttling", "throttles itself", "power supply"),
        (_seen(load_1min="1.50"), "load", "1.50 over the last minute", "top -bn1"),
        ({**_seen(), "free_bytes": 10**8}, "disk", "100 MB free", "du -xh"),
    ],
)
def test_what_disturbs_measurements_is_a_warning(
    seen: dict[str, Any], name: str, found: str, remedy: str
) -> None:
    """Each with what was found and what to do."""
    check = _by_name(list(_conditions(NANO, "/home/me/mlflow_nas", seen)))[name]
    assert check.state == "warning"
    assert found in check.found
    assert remedy in check.remedy


def test_a_quiet_device_has_no_warning() -> None:
    """Performance governor, nothing else at work."""
    seen = _seen(governor="performance", cooling_state="0", throttle_flags="50000", load_1min="0.1")
    assert {check.state for check in _conditions(NANO, "/", seen)} == {"ok"}


def test_what_the_device_can_t_say_is_not_judged() -> None:
    """A system without /proc has no load, not a load of zero."""
    assert {check.name for check in _conditions(NANO, "/", _seen())} == {"disk", "lock"}


def test_a_record_that_cant_be_used_is_an_error() -> None:
    """The key file is missing: ssh-keygen makes one."""
    device = Device(name="nano", transport="ssh", host="nano", directory="d", key_file=Path("/no/key"))
    (check,) = examine(device)
    assert "ssh-keygen" in check.found


@pytest.mark.services
class TestOverSsh:
    """Behind a real server."""

    def _device(self, folder: Path, **fields: Any) -> Device:
        settings = {"host": "board", "python": (sys.executable,), **fields}
        return Device(name="nano", transport="ssh", directory=str(folder / "device"), **settings)

    @pytest.mark.usefixtures("ssh_home")
    def test_a_board_that_is_well(self, tmp_path: Path) -> None:
        """The same checks as on this machine."""
        assert {check.state for check in examine(self._device(tmp_path))} <= {"ok", "warning"}

    def test_an_unknown_host(self, ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
        """The remedy is the command alone."""
        ssh_server.write_home(ssh_home, known=False)
        (check,) = examine(self._device(tmp_path))
        assert check.remedy.startswith("ssh -p ")
        assert "is unknown: it shows the ssh-ed25519 key" in check.found

    @pytest.mark.usefixtures("ssh_home")
    def test_the_list_of_boards_says_who_is_ready(self, tmp_path: Path) -> None:
        """One answers, one has another Python, one is off: each has its row, in the inventory's order."""
        devices = [
            self._device(tmp_path),
            self._device(tmp_path, python=("false",)),
            self._device(tmp_path, host="127.0.0.1", port=free_port()),
        ]
        rows = survey(devices)
        assert [row["state"] for row in rows] == ["ready", "not ready", "unreachable"]
        assert rows[0]["facts"]["onnxruntime"]
        assert "can't be reached" in rows[2]["error"]

"""The device's SSH server crashes, hangs or restarts; several processes use one device."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from ssh_server import FlakyProxy, SshServer, ssh_device, ssh_transport

from mlflow_nas.board import ConnectionLostError, get_board
from mlflow_nas.errors import BoardError

Model = Callable[[int], Path]

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("ssh_home")]


@pytest.fixture
def _stopped_sessions_end(ssh_server: SshServer) -> Iterator[None]:
    """Stopped sessions of the server end with the test."""
    yield
    ssh_server.signal_sessions()


def _when(condition: Callable[[], bool], action: Callable[[], None]) -> threading.Thread:
    """Run an action in the background as soon as a condition holds."""

    def wait() -> None:
        while not condition():
            time.sleep(0.001)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def _ends(pid: int) -> bool:
    """Whether a process ends within ten seconds; it frees the lock a little earlier."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


def test_an_upload_survives_a_crash_of_the_server(ssh_server: SshServer, tmp_path: Path) -> None:
    """The session's process is killed midway: the same file on the device is completed."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(4_000_000))
    incoming = tmp_path / "device/incoming"
    begun: list[int] = []

    def is_midway() -> bool:
        return any(part.stat().st_size > 500_000 for part in incoming.glob("*.part"))

    def crash() -> None:
        begun.extend(part.stat().st_ino for part in incoming.iterdir())
        ssh_server.signal_sessions()

    killer = _when(is_midway, crash)
    transport = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    transport.put(file, f"{tmp_path}/device/big.bin")
    killer.join()
    transport.close()
    target = tmp_path / "device/big.bin"
    assert target.read_bytes() == file.read_bytes()
    assert begun == [target.stat().st_ino]


def test_an_upload_of_a_killed_process_is_resumed(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path
) -> None:
    """By the next process."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(1_000_000))
    part = tmp_path / f"device/incoming/{sha256(file.read_bytes()).hexdigest()}-4194305.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(file.read_bytes()[:900_000])
    through = proxy()
    again = ssh_transport(tmp_path, through.port, ssh_server)
    again.put(file, f"{tmp_path}/device/big.bin")
    again.close()
    assert (tmp_path / "device/big.bin").read_bytes() == file.read_bytes()
    assert sum(through.sent) < 200_000


def test_a_measurement_survives_a_crash_of_the_server(
    ssh_server: SshServer, tmp_path: Path, make_model: Model
) -> None:
    """The session's process is killed midway: the device's process ends, and the call measures again."""
    board = get_board(ssh_device(tmp_path), budget_s=0.5)
    lock, holders = tmp_path / "device/lock", list[str]()

    def crash() -> None:
        holders.append(lock.read_text(encoding="utf-8").split()[0])
        ssh_server.signal_sessions()

    killer = _when(lambda: lock.is_file() and bool(lock.read_text(encoding="utf-8")), crash)
    assert board.measure(make_model(5)).runs > 0
    killer.join()
    board.close()
    assert lock.read_text(encoding="utf-8").split()[0] != holders[0]
    assert _ends(int(holders[0]))


def test_a_session_that_died_between_calls_is_reopened(ssh_server: SshServer, tmp_path: Path) -> None:
    """For commands and for files."""
    file = tmp_path / "small.bin"
    file.write_bytes(b"content")
    transport = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    for number in range(2):
        assert transport.run(["echo", "here"], timeout_s=10).stdout == "here\n"
        ssh_server.signal_sessions()
        transport.put(file, f"{tmp_path}/device/{number}")
        ssh_server.signal_sessions()
    transport.close()
    assert (tmp_path / "device/1").read_bytes() == b"content"


def test_a_call_waits_for_a_restarting_device(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path
) -> None:
    """Its port is closed for a second after the connection was lost; then the call succeeds."""
    through = proxy()
    transport = ssh_transport(tmp_path, through.port, ssh_server)
    assert transport.run(["true"], timeout_s=10).code == 0
    through.close()
    booting = threading.Timer(1, lambda: proxy(port=through.port))
    booting.start()
    assert transport.run(["echo", "back"], timeout_s=10).stdout == "back\n"
    booting.join()
    transport.close()


def test_only_the_first_call_waits_for_a_lost_device(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path
) -> None:
    """Later calls fail at once."""
    through = proxy()
    transport = ssh_transport(tmp_path, through.port, ssh_server, return_s=1.5)
    transport.run(["true"], timeout_s=10)
    through.close()
    waited = []
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(BoardError, match=r"can't be reached: .*check that the device is on"):
            transport.run(["true"], timeout_s=10)
        waited.append(time.monotonic() - begun)
    assert waited[0] > 1.5 > waited[1]


@pytest.mark.usefixtures("_stopped_sessions_end")
def test_a_command_on_a_hanging_device_times_out(ssh_server: SshServer, tmp_path: Path) -> None:
    """Without an answer to a keepalive within one step."""
    transport = ssh_transport(tmp_path, ssh_server.port, ssh_server, step_s=1)
    started = tmp_path / "started"
    stopper = _when(started.exists, lambda: ssh_server.signal_sessions(signal.SIGSTOP))
    begun = time.monotonic()
    with pytest.raises(
        ConnectionLostError, match=r"lost during sh \(Timeout, server .* not responding.\): check network"
    ):
        transport.run(["sh", "-c", f"touch {started}; sleep 60"], timeout_s=60)
    stopper.join()
    transport.close()
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("_stopped_sessions_end")
def test_a_hanging_session_is_replaced(ssh_server: SshServer, tmp_path: Path) -> None:
    """A host that does not answer in time costs a connection, not the call."""
    transport = ssh_transport(tmp_path, ssh_server.port, ssh_server, step_s=1)
    assert transport.run(["true"], timeout_s=10).code == 0
    ssh_server.signal_sessions(signal.SIGSTOP)
    assert transport.run(["echo", "here"], timeout_s=10).stdout == "here\n"
    transport.close()


def test_a_busy_device_names_its_holder(tmp_path: Path, make_model: Model) -> None:
    """The error after a vain wait has the holder and the limit."""
    from mlflow_nas.board.runtime.lock import device_lock

    board = get_board(ssh_device(tmp_path), budget_s=0.1, wait_s=0.3)
    with (
        device_lock(str(tmp_path / "device/lock"), "ada@desk", 0),
        pytest.raises(BoardError, match=r"measuring for ada@desk, since .* not free within 0\.3 s"),
    ):
        board.measure(make_model(5))
    board.close()


def test_a_full_disk_stops_a_measurement_with_a_remedy(full_disk: Path, make_model: Model) -> None:
    """The model does not fit beside the runtime: the error has the free space and the remedy."""
    model = make_model(5)
    model.write_bytes(model.read_bytes() + bytes(300_000))
    board = get_board(ssh_device(full_disk), budget_s=0.1)
    with pytest.raises(BoardError, match=r"can't store .*model-5.onnx.*df: tmpfs.*Free space there"):
        board.measure(model)
    assert board.facts()["python"] == ".".join(map(str, sys.version_info[:3]))
    board.close()

"""The device's SSH server crashes, hangs or starts anew; searches meet on one device."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from ssh_server import BreakableWay, SshServer, ssh_device, ssh_transport

from mlflow_nas.board import ConnectionLostError, get_board
from mlflow_nas.board.ssh import connection, transport
from mlflow_nas.errors import BoardError

Model = Callable[[int], Path]

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("ssh_home")]


@pytest.fixture
def impatient(ssh_server: SshServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps have a second; a stopped session of the server does not outlive the test."""
    monkeypatch.setattr(connection, "STEP_S", 1.0)
    monkeypatch.setattr(transport, "STEP_S", 1.0)
    monkeypatch.setattr(transport, "_SILENCE_S", 0.5)
    yield
    ssh_server.signal_sessions()


def _when(happened: Callable[[], bool], do: Callable[[], None]) -> threading.Thread:
    """Do something in the background as soon as something has happened."""

    def wait() -> None:
        while not happened():
            time.sleep(0.001)
        do()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def _ends(pid: int) -> bool:
    """Whether a process ends within ten seconds; the lock is free a little before."""
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return True
        time.sleep(0.1)
    return False


def test_an_upload_outlives_a_crash_of_the_server(ssh_server: SshServer, tmp_path: Path) -> None:
    """The session's process is killed midway: the same file on the device grows to its end."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(4_000_000))
    part = tmp_path / f"device/incoming/{sha256(file.read_bytes()).hexdigest()}.part"
    begun: list[int] = []

    def crash() -> None:
        begun.append(part.stat().st_ino)
        ssh_server.signal_sessions()

    killer = _when(lambda: part.is_file() and part.stat().st_size > 500_000, crash)
    way = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    way.put(file, f"{tmp_path}/device/big.bin")
    killer.join()
    way.close()
    target = tmp_path / "device/big.bin"
    assert target.read_bytes() == file.read_bytes()
    assert begun == [target.stat().st_ino]


def test_an_upload_goes_on_in_the_next_search(
    ssh_server: SshServer, way: Callable[..., BreakableWay], tmp_path: Path
) -> None:
    """What a search that was killed had sent is not sent again."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(1_000_000))
    part = tmp_path / f"device/incoming/{sha256(file.read_bytes()).hexdigest()}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(file.read_bytes()[:900_000])
    through = way()
    again = ssh_transport(tmp_path, through.port, ssh_server)
    again.put(file, f"{tmp_path}/device/big.bin")
    again.close()
    assert (tmp_path / "device/big.bin").read_bytes() == file.read_bytes()
    assert sum(through.sent) < 200_000


def test_a_measurement_outlives_a_crash_of_the_server(
    ssh_server: SshServer, tmp_path: Path, make_model: Model
) -> None:
    """The session's process is killed midway: the device ends what nobody waits for, and measures anew."""
    board = get_board(ssh_device(tmp_path), budget_s=0.5)
    lock, held = tmp_path / "device/lock", list[str]()

    def crash() -> None:
        held.append(lock.read_text(encoding="utf-8").split()[0])
        ssh_server.signal_sessions()

    killer = _when(lambda: lock.is_file() and bool(lock.read_text(encoding="utf-8")), crash)
    assert board.measure(make_model(5)).runs > 0
    killer.join()
    board.close()
    assert lock.read_text(encoding="utf-8").split()[0] != held[0]
    assert _ends(int(held[0]))


def test_a_session_that_died_between_calls_is_made_anew(ssh_server: SshServer, tmp_path: Path) -> None:
    """The next call does not know of it, for commands as for files."""
    file = tmp_path / "small.bin"
    file.write_bytes(b"content")
    way = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    for number in range(2):
        assert way.run(["echo", "here"], timeout_s=10).stdout == "here\n"
        ssh_server.signal_sessions()
        way.put(file, f"{tmp_path}/device/{number}")
        ssh_server.signal_sessions()
    way.close()
    assert (tmp_path / "device/1").read_bytes() == b"content"


def test_a_device_that_starts_anew_is_waited_for(
    ssh_server: SshServer, way: Callable[..., BreakableWay], tmp_path: Path
) -> None:
    """Nobody listens for two seconds after the connection was lost; then the call goes on."""
    through = way()
    there = ssh_transport(tmp_path, through.port, ssh_server)
    assert there.run(["true"], timeout_s=10).code == 0
    through.close()
    booting = threading.Timer(2, lambda: way(port=through.port))
    booting.start()
    assert there.run(["echo", "back"], timeout_s=10).stdout == "back\n"
    booting.join()
    there.close()


def test_a_device_that_stays_away_is_given_up_once(
    ssh_server: SshServer, way: Callable[..., BreakableWay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call waits for its return; those after it fail at once."""
    monkeypatch.setattr(transport, "_RETURN_S", 1.5)
    through = way()
    there = ssh_transport(tmp_path, through.port, ssh_server)
    there.run(["true"], timeout_s=10)
    through.close()
    waited = []
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(BoardError, match=r"can't be reached: .*check that the device is on"):
            there.run(["true"], timeout_s=10)
        waited.append(time.monotonic() - begun)
    assert waited[0] > 1.5 > waited[1]


@pytest.mark.usefixtures("impatient")
def test_a_command_on_a_device_that_hangs_is_given_up(ssh_server: SshServer, tmp_path: Path) -> None:
    """Nothing is closed, nothing is said: the host asks, and waits no longer than one step for the answer."""
    way = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    started = tmp_path / "started"
    stopper = _when(started.exists, lambda: ssh_server.signal_sessions(signal.SIGSTOP))
    begun = time.monotonic()
    with pytest.raises(ConnectionLostError, match=r"lost during sh \(no answer within 1 s\): check network"):
        way.run(["sh", "-c", f"touch {started}; sleep 60"], timeout_s=60)
    stopper.join()
    way.close()
    assert time.monotonic() - begun < 10


@pytest.mark.usefixtures("impatient")
def test_a_session_that_hangs_is_left_for_another(ssh_server: SshServer, tmp_path: Path) -> None:
    """A channel that does not open in time costs a connection, not the call."""
    way = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    assert way.run(["true"], timeout_s=10).code == 0
    ssh_server.signal_sessions(signal.SIGSTOP)
    assert way.run(["echo", "here"], timeout_s=10).stdout == "here\n"
    way.close()


def test_a_second_search_waits_for_the_first(tmp_path: Path, make_model: Model) -> None:
    """Two searches, each with its connection: the second measures when the first has ended."""
    first = get_board(ssh_device(tmp_path), budget_s=1.5)
    second = get_board(ssh_device(tmp_path), budget_s=0.1, wait_s=60)
    lock, ended = tmp_path / "device/lock", list[float]()
    model = make_model(5)

    def measure() -> None:
        first.measure(model)
        ended.append(time.monotonic())

    searching = threading.Thread(target=measure)
    searching.start()
    while not (lock.is_file() and lock.read_text(encoding="utf-8")):
        time.sleep(0.01)
    holder = lock.read_text(encoding="utf-8").split()[0]
    assert second.measure(make_model(6)).runs > 0
    measured = time.monotonic()
    searching.join()
    assert ended[0] < measured
    assert lock.read_text(encoding="utf-8").split()[0] != holder
    first.close()
    second.close()


def test_a_second_search_that_waited_in_vain_reads_why(tmp_path: Path, make_model: Model) -> None:
    """The sentence names the holder and the end of the wait, over SSH as at home."""
    from mlflow_nas.board.runtime.lock import exclusive

    board = get_board(ssh_device(tmp_path), budget_s=0.1, wait_s=0.3)
    with (
        exclusive(str(tmp_path / "device/lock"), "ada@desk", 0),
        pytest.raises(BoardError, match=r"measuring for ada@desk, since .* not free within 0\.3 s"),
    ):
        board.measure(make_model(5))
    board.close()


def test_a_full_disk_stops_a_measurement_with_a_remedy(full_disk: Path, make_model: Model) -> None:
    """The model has no room beside the runtime: the sentence says what is full and what to do."""
    model = make_model(5)
    model.write_bytes(model.read_bytes() + bytes(300_000))
    board = get_board(ssh_device(full_disk), budget_s=0.1)
    with pytest.raises(BoardError, match=r"can't keep .*model-5.onnx.*df says tmpfs.*Free space there"):
        board.measure(model)
    assert board.facts()["python"] == ".".join(map(str, sys.version_info[:3]))
    board.close()

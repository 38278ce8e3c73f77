"""Boards behind an OpenSSH server: the contract, and failures of log-in, connection and uploads."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from ssh_server import FlakyProxy, SshServer, free_port, new_key, ssh_device, ssh_transport

from mlflow_nas.board import (
    ConnectionLostError,
    DeployedModels,
    DeviceBoard,
    SshTransport,
    get_board,
)
from mlflow_nas.board.ssh import Destination
from mlflow_nas.errors import BoardError, ConfigError

sys.path.append(str(Path(__file__).parents[1]))
from contract.board_contract import BoardContract

Model = Callable[[int], Path]

pytestmark = pytest.mark.services

ENDED = 4_194_305  # no process has this id: it is above the largest one of Linux


@pytest.mark.usefixtures("ssh_home")
class TestSshBoard(BoardContract):
    @pytest.fixture
    def board(self, tmp_path: Path) -> Iterator[DeviceBoard]:
        """This machine, through its SSH server."""
        board = get_board(ssh_device(tmp_path), budget_s=0.05)
        yield board
        board.close()


def test_an_unknown_host_is_refused(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """The error has the key's fingerprint and the command that accepts it."""
    ssh_server.write_home(ssh_home, known=False)
    with pytest.raises(
        BoardError, match=r"is unknown: it shows the ssh-ed25519 key SHA256:.*connect once by hand"
    ):
        get_board(ssh_device(tmp_path)).facts()


def test_a_changed_host_key_is_refused(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """The error has the key's fingerprint, the other one's line and the command that forgets it."""
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text(encoding="utf-8")
    known = ssh_home / ".ssh/known_hosts"
    known.write_text(f"[127.0.0.1]:{ssh_server.port} {other}", encoding="utf-8")
    sentence = r"changed: it shows .* SHA256:.*known_hosts line 1 has another.*ssh-keygen -f .* -R '\[127"
    with pytest.raises(BoardError, match=sentence):
        get_board(ssh_device(tmp_path)).facts()


@pytest.mark.usefixtures("ssh_home")
def test_a_refused_user_key_names_the_remedy(ssh_server: SshServer, tmp_path: Path) -> None:
    """A key that is not authorized on the device."""
    key = new_key(tmp_path / "stranger")
    with pytest.raises(BoardError, match=r"refuses the user's keys.*ssh-copy-id"):
        get_board(ssh_device(tmp_path, "127.0.0.1", port=ssh_server.port, key_file=key)).facts()


@pytest.mark.usefixtures("ssh_home")
def test_a_missing_key_file_is_a_config_error(tmp_path: Path) -> None:
    """It is raised before any connection."""
    with pytest.raises(ConfigError, match=r"key file .*nowhere does not exist; create it with ssh-keygen"):
        get_board(ssh_device(tmp_path, key_file=tmp_path / "nowhere"))


@pytest.mark.usefixtures("ssh_home")
def test_a_device_that_is_off_cant_be_reached(ssh_server: SshServer, tmp_path: Path) -> None:
    """Its port has no listener."""
    with pytest.raises(BoardError, match=r"can't be reached: .*refused; check that the device is on"):
        ssh_transport(tmp_path, free_port(), ssh_server).run(["true"], timeout_s=5)


@pytest.mark.usefixtures("ssh_home")
def test_a_silent_server_times_out(ssh_server: SshServer, tmp_path: Path) -> None:
    """Each step of a connection has a time-out."""
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(BoardError, match=r"can't be reached: .*banner"),
    ):
        ssh_transport(tmp_path, mute.getsockname()[1], ssh_server, step_s=1).run(["true"], timeout_s=5)


@pytest.mark.usefixtures("ssh_home")
@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        (("/nowhere/python3",), r"code 127 without an answer.*/nowhere/python3"),
        (
            (sys.executable, "-S", "-I"),
            r"No module named 'numpy'\. See .*: mlflow_nas doctor --board nano",
        ),
    ],
)
def test_a_wrong_python_is_named(tmp_path: Path, python: tuple[str, ...], sentence: str) -> None:
    """A missing one, and one without the packages."""
    board = get_board(ssh_device(tmp_path, python=python))
    with pytest.raises(BoardError, match=sentence):
        board.facts()
    board.close()


@pytest.mark.usefixtures("ssh_home")
def test_a_slow_command_is_stopped_on_the_device(tmp_path: Path) -> None:
    """The command ends with its time limit; the error has the last output."""
    transport = SshTransport(Destination("board"), str(tmp_path), (sys.executable,))
    code = "import sys, time; print('half way', file=sys.stderr, flush=True); time.sleep(60)"
    with pytest.raises(BoardError, match=r"did not end within 1 s .*half way"):
        transport.run([sys.executable, "-S", "-c", code], timeout_s=1)
    transport.close()


def _ends(pid: int) -> bool:
    """Whether a process ends within ten seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def _cut_when_measuring(lock: Path, proxy: FlakyProxy, holders: list[int]) -> None:
    """Wait until a process holds the device, append it, cut its connection."""
    while not (lock.is_file() and lock.read_text(encoding="utf-8")):
        time.sleep(0.01)
    holders.append(int(lock.read_text(encoding="utf-8").split()[0]))
    proxy.cut()


def test_a_measurement_survives_a_cut_connection(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path, make_model: Model
) -> None:
    """The process without its host ends, and the same call measures through another connection."""
    through = proxy()
    device = ssh_device(tmp_path, "127.0.0.1", port=through.port, key_file=ssh_server.user_key)
    board = get_board(device, budget_s=0.5)
    cut: list[int] = []
    cutter = threading.Thread(target=_cut_when_measuring, args=(tmp_path / "device/lock", through, cut))
    cutter.start()
    assert board.measure(make_model(5)).runs > 0
    cutter.join()
    holder = int((tmp_path / "device/lock").read_text(encoding="utf-8").split()[0])
    assert holder != cut[0]
    assert _ends(cut[0])
    board.close()


def _cut_when_exists(sign: Path, proxy: FlakyProxy) -> None:
    while not sign.exists():
        time.sleep(0.01)
    proxy.cut()


def test_a_switch_finishes_without_its_host(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path, make_model: Model
) -> None:
    """The connection is cut while `activate` runs, which fails later: the device restores the old version."""
    through, sign = proxy(), tmp_path / "activating"
    plain = ssh_device(tmp_path, "127.0.0.1", port=through.port, key_file=ssh_server.user_key)
    board = get_board(plain)
    DeployedModels(board).install("person", make_model(5), {"version": "1"})
    board.close()
    failing = ("sh", "-c", f"test $MLFLOW_NAS_VERSION = 1 || {{ touch {sign}; sleep 0.5; exit 1; }}")
    board = get_board(replace(plain, activate=failing))
    cutter = threading.Thread(target=_cut_when_exists, args=(sign, through))
    cutter.start()
    with pytest.raises(ConnectionLostError, match="was lost during"):
        DeployedModels(board).install("person", make_model(6), {"version": "2"})
    cutter.join()
    found = DeployedModels(board).find("person")
    for _ in range(100):
        if found is None or found.manifest["version"] == "1":
            break
        time.sleep(0.1)
        found = DeployedModels(board).find("person")
    assert found is not None
    assert (found.manifest["version"], found.intact) == ("1", True)
    board.close()


def test_an_upload_resumes_where_it_was_cut(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path
) -> None:
    """After two cuts only the missing bytes are sent, through two more connections."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(3_000_000))
    through = proxy(1_000_000, 1_000_000)
    transport = ssh_transport(tmp_path, through.port, ssh_server)
    transport.put(file, f"{tmp_path}/device/folder/big.bin")
    assert (tmp_path / "device/folder/big.bin").read_bytes() == file.read_bytes()
    assert len(through.sent) == 3
    assert sum(through.sent) < 3_500_000
    transport.close()


@pytest.mark.usefixtures("ssh_home")
def test_an_upload_of_other_content_is_not_resumed(ssh_server: SshServer, tmp_path: Path) -> None:
    """The existing part must be a prefix of the file."""
    file = tmp_path / "model.bin"
    file.write_bytes(b"right content")
    part = tmp_path / f"device/incoming/{sha256(b'right content').hexdigest()}-{ENDED}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"wrong")
    transport = ssh_transport(tmp_path, ssh_server.port, ssh_server)
    transport.put(file, f"{tmp_path}/device/model.bin")
    assert (tmp_path / "device/model.bin").read_bytes() == b"right content"
    assert list(part.parent.iterdir()) == []
    transport.close()


def test_an_upload_fails_after_three_lost_connections(
    ssh_server: SshServer, proxy: Callable[..., FlakyProxy], tmp_path: Path
) -> None:
    """The error has their number."""
    file = tmp_path / "big.bin"
    file.write_bytes(os.urandom(3_000_000))
    transport = ssh_transport(tmp_path, proxy(300_000, 300_000, 300_000).port, ssh_server)
    with pytest.raises(ConnectionLostError, match=r"was lost 3 times.*check network and power"):
        transport.put(file, f"{tmp_path}/device/big.bin")
    transport.close()


@pytest.mark.usefixtures("ssh_home")
def test_a_jump_host_is_used(ssh_server: SshServer, ssh_home: Path, tmp_path: Path) -> None:
    """ProxyJump of ~/.ssh/config, like ssh."""
    behind = f"Host inner\n HostName 127.0.0.1\n Port {ssh_server.port}\n ProxyJump board\n"
    ssh_server.write_home(ssh_home, config=f"{behind} IdentityFile {ssh_server.user_key}\n")
    transport = SshTransport(Destination("inner"), str(tmp_path), (sys.executable,))
    done = transport.run(["sh", "-c", "echo $SSH_CONNECTION; exit 3"], timeout_s=10)
    assert (done.code, done.stdout.split()[-1]) == (3, str(ssh_server.port))
    transport.close()


@pytest.mark.usefixtures("ssh_home")
def test_a_full_disk_is_named(ssh_server: SshServer, full_disk: Path, tmp_path: Path) -> None:
    """The error has the file's size and the free space; no partial file remains."""
    file = tmp_path / "model.bin"
    file.write_bytes(os.urandom(300_000))
    transport = ssh_transport(full_disk, ssh_server.port, ssh_server)
    with pytest.raises(BoardError, match=r"can't store model.bin \(300000 bytes\).*df: tmpfs.*Free space"):
        transport.put(file, f"{full_disk}/device/model.bin")
    assert not (full_disk / "device/model.bin").exists()
    transport.close()


@pytest.mark.usefixtures("ssh_home")
def test_parallel_uploads_of_one_file_succeed(ssh_server: SshServer, tmp_path: Path) -> None:
    """Four at a time, to different targets: all are complete."""
    file = tmp_path / "model.bin"
    file.write_bytes(os.urandom(300_000))

    def upload(number: int) -> bytes:
        transport = ssh_transport(tmp_path, ssh_server.port, ssh_server)
        target = tmp_path / f"device/{number}/model.bin"
        transport.put(file, str(target))
        transport.close()
        return target.read_bytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(upload, range(4))) == {file.read_bytes()}

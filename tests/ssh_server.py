"""A real OpenSSH server on loopback with keys of its own, and a way to it that breaks."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
START_S = 10.0
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class SshServer:
    """A running server."""

    folder: Path
    port: int

    @property
    def user_key(self) -> Path:
        """The private key that it accepts."""
        return self.folder / "user_key"

    @property
    def host_key(self) -> str:
        """The host's public key: type and key."""
        return " ".join((self.folder / "host_key.pub").read_text(encoding="utf-8").split()[:2])

    def write_home(self, home: Path, *, known: bool = True, config: str = "") -> None:
        """A user's ~/.ssh that knows the server, as `board` too."""
        folder = home / ".ssh"
        folder.mkdir(parents=True, exist_ok=True)
        line = f"[127.0.0.1]:{self.port} {self.host_key}\n" if known else ""
        (folder / "known_hosts").write_text(line, encoding="utf-8")
        board = f"Host board\n HostName 127.0.0.1\n Port {self.port}\n IdentityFile {self.user_key}\n"
        (folder / "config").write_text(board + config, encoding="utf-8")


def new_key(path: Path) -> Path:
    """An ed25519 key pair without passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_ssh_server(folder: Path):  # type: ignore[no-untyped-def]  # a generator of SshServer
    """Start the server, stop it afterwards; without OpenSSH's server skip, in CI fail."""
    program = shutil.which("sshd", path=SBIN)
    if program is None:
        message = "OpenSSH's server is missing (Debian: apt-get install openssh-server)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    server = SshServer(folder, free_port())
    new_key(folder / "host_key")
    new_key(folder / "user_key")
    (folder / "sshd_config").write_text(CONFIG.format(port=server.port, folder=folder), encoding="utf-8")
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the server's own, where it is no service
    log = folder / "sshd.log"
    command = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + START_S
        while not _listens(server.port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the SSH server did not start:\n{log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class BreakableWay:
    """Forwards connections to a port; each is cut after its own number of bytes towards the server.

    Args:
        target: the port behind.
        limits: bytes after which the first, second, ... connection is cut; those after are not.
    """

    def __init__(self, target: int, limits: tuple[int, ...] = ()) -> None:
        self._target = target
        self._limits = list(limits)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.sent: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut the connections that stand."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs.clear()

    def close(self) -> None:
        """Cut and accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                limit = self._limits.pop(0) if self._limits else None
                self.sent.append(0)
                number = len(self.sent) - 1
                threading.Thread(target=self._pump, args=(client, server, number, limit), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client, None, None), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, number: int | None, limit: int | None
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
                if number is not None:
                    self.sent[number] += len(data)
                    if limit is not None and self.sent[number] > limit:
                        break
            for end in (source, sink):
                end.shutdown(socket.SHUT_RDWR)

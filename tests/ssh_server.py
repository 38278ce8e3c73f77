"""An OpenSSH server on loopback with its own keys, and a proxy to it that breaks connections."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import SshTransport
from mlflow_nas.board.ssh import Destination
from mlflow_nas.types import Device

START_S = 10.0
MISSING = 3  # exit code of deploy/arm64-board's programs without a package that they need
SERVE = Path(__file__).parents[1] / "deploy/arm64-board/serve"


@dataclass(frozen=True)
class SshServer:
    """A running server."""

    folder: Path
    port: int
    pid: int

    @property
    def user_key(self) -> Path:
        """The private key that it accepts."""
        return self.folder / "user_key"

    @property
    def host_key(self) -> str:
        """The host's public key: type and key."""
        return " ".join((self.folder / "host_key.pub").read_text(encoding="utf-8").split()[:2])

    def write_home(self, home: Path, *, known: bool = True, config: str = "") -> None:
        """A user's ~/.ssh with the server's host key, also under the names `board` and `arm64-board`."""
        folder = home / ".ssh"
        folder.mkdir(parents=True, exist_ok=True)
        line = f"[127.0.0.1]:{self.port} {self.host_key}\n" if known else ""
        (folder / "known_hosts").write_text(line, encoding="utf-8")
        board = f"Host board arm64-board\n HostName 127.0.0.1\n Port {self.port}\n"
        key = f" IdentityFile {self.user_key}\n"
        (folder / "config").write_text(board + key + config, encoding="utf-8")

    def sessions(self) -> list[int]:
        """The server's processes, one per connection."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    def signal_sessions(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill or stop every connection's process: the device's server crashes, or hangs."""
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def new_key(path: Path) -> Path:
    """An ed25519 key pair without passphrase."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def ssh_device(folder: Path, host: str = "board", **fields: Any) -> Device:
    """An SSH device with its directory in a folder of the test."""
    settings = {"python": (sys.executable,), **fields}
    return Device(name="nano", transport="ssh", host=host, directory=str(folder / "device"), **settings)


def ssh_transport(folder: Path, port: int, server: SshServer, **limits: float) -> SshTransport:
    """The transport of such a device; `limits` are its `step_s` and `return_s`."""
    destination = Destination("127.0.0.1", port=port, key_file=server.user_key)
    return SshTransport(destination, str(folder / "device"), (sys.executable,), **limits)


def free_port() -> int:
    """A port without a listener."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_ssh_server(folder: Path):  # type: ignore[no-untyped-def]  # a generator of SshServer
    """Start the server of deploy/arm64-board, stop it afterwards; without OpenSSH skip, in CI fail."""
    port, log = free_port(), folder / "serve.log"
    with log.open("wb") as file:
        process = subprocess.Popen([str(SERVE), str(folder), str(port)], stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + START_S
        while not _listens(port):
            output = log.read_text(encoding="utf-8")
            if process.poll() == MISSING and not os.environ.get("CI"):
                pytest.skip(output)
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the SSH server did not start:\n{output}")
            time.sleep(0.05)
        server = SshServer(folder / "ssh", port, process.pid)
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


class FlakyProxy:
    """Forwards connections to a port; each is cut after its own number of bytes to the server.

    Args:
        target: the server's port.
        limits: bytes after which the first, second, ... connection is cut; later ones are not cut.
        port: of the proxy; 0 for a free one.
    """

    def __init__(self, target: int, limits: tuple[int, ...] = (), port: int = 0) -> None:
        self._target = target
        self._limits = list(limits)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.sent: list[int] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Cut all connections."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs.clear()

    def close(self) -> None:
        """Cut all connections and stop listening."""
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

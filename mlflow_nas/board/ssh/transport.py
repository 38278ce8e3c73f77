"""Commands and files over SSH; a lost connection is reopened."""

import hashlib
import select
import shlex
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeVar

import paramiko

from mlflow_nas.board.ssh.connection import STEP_S, Connection, SilentError, limited
from mlflow_nas.board.ssh.endpoint import Endpoint
from mlflow_nas.board.ssh.upload import upload
from mlflow_nas.board.transport import CommandResult, ConnectionLostError, UnreachableError, last_output
from mlflow_nas.errors import BoardError

__all__ = ["SshTransport"]

_CHUNK = 32_768
_ATTEMPTS = 3
_WAIT_S = 0.2
_SILENCE_S = 15.0  # without output of a command, after which its host must answer
_RETURN_S = 60.0  # a device that restarts is back by then
_PAUSE_S = 1.0
_NO_STATUS = -1
_CANT_READ = 1  # of sha256sum, and of a Python that raises
_NO_SUCH_COMMAND = 127
_HASH = "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())"
_LOST = (EOFError, paramiko.SSHException, ConnectionError, TimeoutError)

R = TypeVar("R")


class SshTransport:
    """A device behind an SSH server with a file server (SFTP).

    A command's standard input closes with its channel, so that the command ends when the host does.

    Args:
        endpoint: of the device.
        directory: the device's folder of mlflow_nas; relative to the user's home.
        python: the command that starts its Python.
    """

    def __init__(self, endpoint: Endpoint, directory: str, python: Sequence[str]) -> None:
        self._endpoint = endpoint
        self._directory = directory
        self._python = tuple(python)
        self._open: Connection | None = None
        self._files: paramiko.SFTPClient | None = None
        self._root: str | None = None
        self._was_reached = False

    @property
    def root(self) -> str:
        """The device's folder, absolute."""
        if self._root is None:
            self._root = self._with_files(
                lambda files: str(PurePosixPath(files.normalize("."), self._directory))
            )
        return self._root

    @property
    def python(self) -> Sequence[str]:
        """The command that starts the device's Python."""
        return self._python

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._open is not None:
            self._open.close()
        self._open = self._files = None

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a command on the device; see Transport."""
        channel = self._channel()
        end = time.monotonic() + timeout_s
        try:
            with limited(channel):
                channel.exec_command(shlex.join(argv))
            return _collect(channel, end, self._connection())
        except _TookTooLongError as error:
            raise BoardError(
                f"{self._endpoint.asked}: {argv[0]} did not end within {timeout_s:g} s and was stopped; its "
                f"last output: {last_output(error.output)}. Check the device's load, then repeat"
            ) from error
        except _LOST as error:
            self.close()
            raise ConnectionLostError(
                f"the connection to {self._endpoint.asked} was lost during {argv[0]} "
                f"({str(error) or type(error).__name__}): check network and power"
            ) from error
        finally:
            channel.close()

    def put(self, source: Path, target: str) -> None:
        """Copy a file to the device, resuming an interrupted upload; see Transport."""
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        part = f"{self.root}/incoming/{sha256}"

        def send(files: paramiko.SFTPClient, part: str) -> bool:
            return upload(files, source, target, part=part, hash_of=self._hash)

        try:
            alone = f"{part}-{uuid.uuid4().hex}.part"
            if not any(self._with_files(partial(send, part=name)) for name in (f"{part}.part", alone)):
                raise BoardError(f"{source.name} arrived damaged on {self._endpoint.asked}; repeat the call")
        except OSError as error:
            raise BoardError(
                f"{self._endpoint.asked} can't store {source.name} ({source.stat().st_size} bytes) in "
                f"{self.root}: {error}; {self._space()}. Free space there or fix its permissions"
            ) from error

    def get(self, source: str, target: Path) -> None:
        """Copy a file from the device; see Transport."""
        try:
            self._with_files(lambda files: files.get(source, str(target)))
        except OSError as error:
            raise BoardError(
                f"{source} can't be copied from {self._endpoint.asked}: {error}; repeat the call"
            ) from error

    def _connection(self) -> Connection:
        if not self._connected:
            self.close()
        if self._open is None:
            retry_s, self._was_reached = _RETURN_S if self._was_reached else 0, False
            self._open = self._connect(retry_s)
            self._was_reached = True
        return self._open

    @property
    def _connected(self) -> bool:
        return self._open is not None and self._open.is_alive

    def _connect(self, retry_s: float) -> Connection:
        end = time.monotonic() + retry_s
        while True:
            try:
                return Connection(self._endpoint)
            except SilentError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_PAUSE_S)

    def _channel(self) -> paramiko.Channel:
        """A new channel; a connection that was lost since the last call is reopened."""
        for attempt in range(_ATTEMPTS):
            connection = self._connection()
            try:
                return connection.transport.open_session(timeout=STEP_S)
            except _LOST as error:
                self.close()
                if attempt == _ATTEMPTS - 1:
                    raise BoardError(
                        f"{self._endpoint.asked} opens no channel: {error}; restart it"
                    ) from error
        raise AssertionError  # the last attempt returns or raises

    def _with_files(self, action: Callable[[paramiko.SFTPClient], R]) -> R:
        """Run an action of the file server, again from the start after a lost connection.

        Raises:
            BoardError: the device can't be reached again.
            OSError: the file server refuses.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return action(self._file_server())
            except (OSError, EOFError, paramiko.SSHException, ConnectionLostError) as error:
                if isinstance(error, OSError) and not self._is_lost(error):
                    raise
                self.close()
                if attempt == _ATTEMPTS - 1:
                    raise ConnectionLostError(
                        f"the connection to {self._endpoint.asked} was lost {_ATTEMPTS} times "
                        f"({str(error) or type(error).__name__}); check network and power"
                    ) from error
        raise AssertionError  # the last attempt returns or raises

    def _is_lost(self, error: OSError) -> bool:
        """Whether the error is the connection's; otherwise the file server refused."""
        lost = isinstance(error, ConnectionError | TimeoutError)
        return lost or not self._connected

    def _file_server(self) -> paramiko.SFTPClient:
        self._connection()  # a dead connection's file server is dropped
        if self._files is None:
            channel = self._channel()
            channel.settimeout(STEP_S)
            try:
                with limited(channel):
                    channel.invoke_subsystem("sftp")
                self._files = paramiko.SFTPClient(channel)
            except _LOST as error:
                if not self._connected:
                    raise
                raise UnreachableError(
                    f"{self._endpoint.asked} has no file server: {str(error) or type(error).__name__}; ",
                    "install openssh-sftp-server there",
                ) from error
        return self._files

    def _hash(self, path: str) -> str:
        """Sha256 of a file on the device, by its own tool or its Python."""
        done = self.run(["sha256sum", path], timeout_s=STEP_S * 3)
        if done.code == _NO_SUCH_COMMAND:
            done = self.run([*self._python, "-c", _HASH, path], timeout_s=STEP_S * 3)
        if done.code == _CANT_READ:
            raise FileNotFoundError(path)
        if done.code != 0:
            raise BoardError(
                f"{self._endpoint.asked} has neither sha256sum nor a Python that runs: "
                f"{last_output(done.stderr)}; fix the inventory's `python`"
            )
        return done.stdout.split()[0].lstrip("\\")

    def _space(self) -> str:
        """Free space of the folder's file system, by df."""
        done = self.run(["df", "-h", self.root], timeout_s=STEP_S)
        lines = done.stdout.strip().splitlines()
        return f"df: {' '.join(lines[-1].split())}" if lines else "df: no output"


class _TookTooLongError(Exception):
    def __init__(self, output: bytes) -> None:
        super().__init__()
        self.output = output


def _collect(channel: paramiko.Channel, end: float, connection: Connection) -> CommandResult:
    """Both streams of a command until its end."""
    out, err = bytearray(), bytearray()
    heard = time.monotonic()
    while True:
        if channel.recv_ready():
            out += channel.recv(_CHUNK)
        elif channel.recv_stderr_ready():
            err += channel.recv_stderr(_CHUNK)
        elif channel.exit_status_ready() and (channel.eof_received or channel.closed):
            if channel.exit_status == _NO_STATUS and not connection.is_alive:
                raise EOFError("the connection closed")
            # Without a status on a standing connection the command was killed by a signal.
            return CommandResult(
                channel.exit_status, out.decode(errors="replace"), err.decode(errors="replace")
            )
        elif time.monotonic() > end:
            raise _TookTooLongError(bytes(err or out))
        elif time.monotonic() > heard + _SILENCE_S:
            connection.check()
            heard = time.monotonic()
        else:
            select.select([channel], [], [], _WAIT_S)

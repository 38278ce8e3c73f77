"""Commands and files over SSH; a lost connection is reopened."""

import hashlib
import shlex
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from mlflow_nas.board.ssh.connection import Connection
from mlflow_nas.board.ssh.destination import Destination
from mlflow_nas.board.ssh.failures import SilentError
from mlflow_nas.board.ssh.upload import LINK, finish_upload, prepare_upload
from mlflow_nas.board.transport import (
    CommandResult,
    ConnectionLostError,
    UnreachableError,
    last_output,
    run_attached,
)
from mlflow_nas.errors import BoardError, ConfigError

__all__ = ["SshTransport"]

_STEP_S = 20.0
_RETURN_S = 60.0  # a device that restarts is back by then
_PAUSE_S = 1.0
_ATTEMPTS = 3
_SLOWEST = 2500  # bytes per second, 20 kbit/s
_IN_FLIGHT = ("-B", "32768", "-R", "8")  # bytes of a request, requests: lost with a connection
_LARGEST_ANSWER = 4_000_000
_FAILED = 255  # of ssh and sftp themselves, and of a command that a signal killed


class SshTransport:
    """A device behind an SSH server with a file server (SFTP).

    A command's standard input closes when its host dies or stops waiting, so that the command ends.

    Args:
        destination: its host.
        directory: the device's folder of mlflow_nas; relative to the user's home.
        python: the command that starts its Python.
        step_s: longest wait for a step of a connection, and for an answer.
        return_s: how long a device that was reached before may be away.

    Raises:
        ConfigError: the key file does not exist.
    """

    def __init__(
        self,
        destination: Destination,
        directory: str,
        python: Sequence[str],
        *,
        step_s: float = _STEP_S,
        return_s: float = _RETURN_S,
    ) -> None:
        key = destination.key_file
        if key is not None and not key.is_file():
            raise ConfigError(
                f"the key file {key} does not exist; create it with ssh-keygen -t ed25519 -f {key}"
            )
        self._destination = destination
        self._directory = directory
        self._python = tuple(python)
        self._step_s, self._return_s = step_s, return_s
        self._wait_s = 3 * step_s  # for a short command
        self._open: Connection | None = None
        self._root: str | None = None
        self._was_reached = False

    @property
    def root(self) -> str:
        """The device's folder, absolute."""
        if self._root is None:
            self._root = str(PurePosixPath(self._connection().home, self._directory))
        return self._root

    @property
    def python(self) -> Sequence[str]:
        """The command that starts the device's Python."""
        return self._python

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a command on the device; see Transport."""
        connection = self._connection()
        try:
            done = run_attached([*connection.words("ssh"), shlex.join(argv)], timeout_s=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BoardError(
                f"{self._destination.host}: {argv[0]} did not end within {timeout_s:g} s and was stopped; "
                f"its last output: {last_output(error.stderr)}. Check the device's load, then repeat"
            ) from error
        if done.code == _FAILED:
            self._check(connection, f"during {argv[0]}")
        return done

    def put(self, source: Path, target: str) -> None:
        """Copy a file to the device, resuming an interrupted upload; see Transport."""
        sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
        part = f"{self.root}/incoming/{sha256}-{self._connection().session}.part"
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if self._upload(source, target, part=part, sha256=sha256):
                    return
            except ConnectionLostError as error:
                if attempt == _ATTEMPTS:
                    raise ConnectionLostError(
                        f"the connection to {self._destination.host} was lost {_ATTEMPTS} times ({error})"
                    ) from error
            except _RefusedError as error:
                self.run(["rm", "-f", "--", part], timeout_s=self._wait_s)
                raise BoardError(
                    f"{self._destination.host} can't store {source.name} ({source.stat().st_size} bytes) in "
                    f"{self.root}: {error}; {self._space()}. Free space there or fix its permissions"
                ) from error
        raise BoardError(f"{source.name} arrived damaged on {self._destination.host}; repeat the call")

    def get(self, source: str, target: Path) -> None:
        """Copy a file from the device; see Transport."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._sftp(f"get {_quoted(source)} {_quoted(target)}", _LARGEST_ANSWER)
            except ConnectionLostError:
                if attempt == _ATTEMPTS:
                    raise
            except _RefusedError as error:
                raise BoardError(
                    f"{source} can't be copied from {self._destination.host}: {error}; repeat the call"
                ) from error
        raise AssertionError  # the last attempt returns or raises

    def _upload(self, source: Path, target: str, *, part: str, sha256: str) -> bool:
        """Send what the device lacks of a file; whether it is complete and at its place then."""
        folders = [str(folder) for folder in PurePosixPath(target).parents if str(folder) != self.root]
        own = [folder for folder in folders if folder.startswith(f"{self.root}/")]
        incoming = f"{self.root}/incoming"
        prepared = self._shell(prepare_upload(part, target, [incoming, *own], self._python))
        present, _, found = prepared.strip().partition(" ")
        if found == sha256:
            return True
        size = source.stat().st_size
        if int(present) < size:
            verb = "reput" if int(present) else "put"
            self._sftp(f"{verb} {_quoted(source)} {_quoted(part)}", size)
        return bool(self._shell(finish_upload(part, target, sha256, self._python)))

    def _connection(self) -> Connection:
        """The open connection, which answers; a lost one is opened again."""
        if self._open is not None and not self._open.answers():
            self.close()
        if self._open is None:
            end = time.monotonic() + (self._return_s if self._was_reached else 0)
            self._was_reached = False
            while self._open is None:
                try:
                    self._open = Connection(self._destination, self._step_s)
                except SilentError:
                    if time.monotonic() >= end:
                        raise
                    time.sleep(_PAUSE_S)
            self._was_reached = True
        return self._open

    def _check(self, connection: Connection, moment: str) -> None:
        """Raise ConnectionLostError if the host does not answer any more."""
        if not connection.answers():
            reason = connection.close()
            self._open = None
            raise ConnectionLostError(
                f"the connection to {self._destination.host} was lost {moment} ({reason}): "
                "check network and power"
            )

    def _sftp(self, command: str, size_bytes: int) -> None:
        """Run one command of sftp; _RefusedError with the device's reason."""
        connection, limit_s = self._connection(), self._wait_s + size_bytes / _SLOWEST
        try:
            done = subprocess.run(
                connection.words("sftp", *_IN_FLIGHT, "-b", "-"),
                input=command.encode(),
                capture_output=True,
                timeout=limit_s,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ConnectionLostError(
                f"{command} did not end within {limit_s:.0f} s: check network"
            ) from error
        if done.returncode == 0:
            return
        self._check(connection, "during a file's copy")
        reason = last_output(done.stderr)
        if done.returncode == _FAILED:
            raise UnreachableError(
                f"{self._destination.host} has no file server: {reason}; ",
                "install openssh-sftp-server there",
            )
        raise _RefusedError(reason)

    def _shell(self, argv: Sequence[str]) -> str:
        """Output of a script on the device; _RefusedError with its reason."""
        done = self.run(argv, timeout_s=self._wait_s)
        if done.code == LINK:
            raise BoardError(f"{self._destination.host}: {done.stderr.strip()}: remove it, then repeat")
        if done.code != 0:
            raise _RefusedError(last_output(done.stderr))
        return done.stdout

    def _space(self) -> str:
        """Free space of the folder's file system, by df."""
        lines = self.run(["df", "-h", self.root], timeout_s=self._wait_s).stdout.strip().splitlines()
        return f"df: {' '.join(lines[-1].split())}" if lines else "df: no output"


def _quoted(path: str | Path) -> str:
    """A path as sftp's commands take it.

    Raises:
        ConfigError: it has a line break, which would end the command.
    """
    text = str(path)
    if not text.isprintable():
        raise ConfigError(f"the path {text!r} has a line break or another control character; rename the file")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _RefusedError(Exception):
    """The device refuses; the message is its own."""

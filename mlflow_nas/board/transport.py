"""Commands and file copies on a device."""

import contextlib
import filecmp
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlflow_nas.errors import BoardError

__all__ = [
    "CommandResult",
    "ConnectionLostError",
    "LocalTransport",
    "Transport",
    "UnreachableError",
    "last_output",
    "run_attached",
]

_SHOWN_CHARACTERS = 600


@dataclass(frozen=True, slots=True)
class CommandResult:
    """Exit code (negative: killed by that signal) and output of a command."""

    code: int
    stdout: str
    stderr: str


class ConnectionLostError(BoardError):
    """The connection to the device was lost: the same call may succeed."""


class UnreachableError(BoardError):
    """The device can't be reached.

    Args:
        problem: what is wrong.
        remedy: the command, or another action, that fixes it; the end of the message.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}{remedy}")
        self.problem = problem
        self.remedy = remedy


class Transport(Protocol):
    """Connection to one device; paths on the device are absolute, below `root`."""

    @property
    def root(self) -> str:
        """The device's folder of mlflow_nas."""

    @property
    def python(self) -> Sequence[str]:
        """The command that starts the device's Python."""

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a command on the device and wait for its end.

        Its standard input stays open and empty until then: it closes when this process dies.

        Raises:
            BoardError: the device can't be reached, or the command did not end in time.
        """

    def close(self) -> None:
        """Close the connection; a later call opens it again."""

    def put(self, source: Path, target: str) -> None:
        """Copy a file to the device and create its folder; the target is written completely or not at all.

        A target with the same content stays as it is: it needs no space on a full disk.

        Raises:
            BoardError: the device can't be reached, or can't store the file.
        """

    def get(self, source: str, target: Path) -> None:
        """Copy a file from the device.

        Raises:
            BoardError: the device can't be reached, or lacks the file.
        """


def last_output(output: str | bytes | None) -> str:
    """The end of a command's output, for an error."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output or ""
    return text.strip()[-_SHOWN_CHARACTERS:] or "nothing"


def run_attached(argv: Sequence[str], *, timeout_s: float) -> CommandResult:
    """Run a process of this machine whose standard input closes when this process dies, or stops waiting.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
        OSError: it can't be started.
    """
    read_end, write_end = os.pipe()
    try:
        done = subprocess.run(argv, stdin=read_end, capture_output=True, timeout=timeout_s, check=False)
    finally:
        os.close(read_end)
        os.close(write_end)
    return CommandResult(
        done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    )


class LocalTransport:
    """This machine as a device; commands run in processes of their own.

    Args:
        root: the device's folder; made when first needed.
        python: the command that starts Python; empty for this process's own interpreter.
    """

    def __init__(self, root: Path, python: Sequence[str] = ()) -> None:
        self._root = root.absolute()
        self._python = tuple(python) or (sys.executable,)

    @property
    def root(self) -> str:
        """The device's folder of mlflow_nas."""
        return str(self._root)

    @property
    def python(self) -> Sequence[str]:
        """The command that starts Python."""
        return self._python

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        """Run a command in its own process; see Transport."""
        try:
            return run_attached(argv, timeout_s=timeout_s)
        except subprocess.TimeoutExpired as error:
            raise BoardError(
                f"{argv[0]} did not end within {timeout_s:g} s and was stopped; its last output: "
                f"{last_output(error.stderr)}. Check the machine's load, then repeat"
            ) from error
        except OSError as error:
            raise BoardError(f"{argv[0]} can't be started: {error}; install it") from error

    def close(self) -> None:
        """There is no connection to close."""

    def put(self, source: Path, target: str) -> None:
        """Copy a file into the device's folder; see Transport."""
        self._refuse_links(Path(target))
        partial = Path(f"{target}.{uuid.uuid4().hex}.part")
        try:
            if Path(target).is_file() and filecmp.cmp(source, target, shallow=False):
                return
            partial.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, partial)
            partial.replace(target)
        except OSError as error:
            raise BoardError(
                f"{source.name} can't be copied to {target}: {error}; fix its permissions or free space"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def _refuse_links(self, target: Path) -> None:
        for path in (target, *target.parents):
            if path.is_relative_to(self._root) and path != self._root and path.is_symlink():
                raise BoardError(f"{path} is a symbolic link: remove it, then repeat")

    def get(self, source: str, target: Path) -> None:
        """Copy a file out of the device's folder; see Transport."""
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise BoardError(f"{source} can't be copied from the device: {error}; repeat the call") from error

"""Remote calls of the runtime package on a device, and the files that they need."""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.runtime.dispatch import ATTACHED, DETACHED
from mlflow_nas.board.transport import CommandResult, ConnectionLostError, Transport, last_output
from mlflow_nas.errors import BoardError, CandidateError, ConfigError, NasError
from mlflow_nas.types import Device

__all__ = ["RuntimeClient"]

_CALL_S = 120.0  # a slow board imports onnxruntime and loads a model within this time
_FETCH_S = 1800.0  # 4 MB over 20 kbit/s
_REPEATABLE = (
    "facts",
    "inspect",
    "time",
    "profile",
    "by_threads",
    "sustained",
    "infer",
    "fetch",
    "get",
    "list",
)
"""Commands that change nothing."""

_DETACHED = ("install", "rollback", "delete")  # must not stop halfway
_ERRORS: Mapping[str, type[NasError]] = {
    "model": CandidateError,
    "request": ConfigError,
    "library": BoardError,
    "device": BoardError,
}


class RuntimeClient:
    """Calls the runtime on one device.

    Args:
        device: its record in the inventory.
        transport: connects to it.
    """

    def __init__(self, device: Device, transport: Transport) -> None:
        self._device = device
        self._transport = transport
        self._runtime_path: str | None = None

    @property
    def root(self) -> str:
        """The device's folder of mlflow_nas."""
        return self._transport.root

    @property
    def python(self) -> list[str]:
        """The command that starts the device's Python, with the variables of its record."""
        variables = [f"{name}={value}" for name, value in self._device.environment.items()]
        return [*(["env", *variables] if variables else []), *self._transport.python]

    @property
    def _see_doctor(self) -> str:
        return f"See what is missing: mlflow_nas doctor --board {self._device.name}"

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        self._transport.close()

    def run(self, argv: Sequence[str]) -> CommandResult:
        """Run a short command of the device's system.

        Raises:
            BoardError: the device can't be reached.
        """
        return self._transport.run(argv, timeout_s=_CALL_S)

    def call(self, command: str, *, wait_s: float = 0.0, **options: object) -> dict[str, Any]:
        """Run one command of the runtime; its errors become CandidateError, ConfigError or BoardError.

        Args:
            command: of the runtime.
            wait_s: seconds that it may take beyond loading a model.
            options: of the command.
        """
        mode = DETACHED if command in _DETACHED else ATTACHED
        argv = [*self.python, self.push_runtime(), command, json.dumps(options), mode]
        answer = self._answer(command, self._run_repeatedly(command, argv, _CALL_S + wait_s))
        if "error" in answer:
            see = f". {self._see_doctor}" if answer["kind"] == "library" else ""
            raise _ERRORS[answer["kind"]](f"device {self._device.name}, {command}: {answer['error']}{see}")
        return answer

    @contextmanager
    def staged(self, *files: Path) -> Iterator[Sequence[str]]:
        """Upload files into a temporary folder; yields their paths on the device."""
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise ConfigError(f"the file {missing[0]} does not exist; export the model first")
        self.push_runtime()  # first: on a device that large files fill it still reports its state
        with self._temporary_folder() as folder:
            paths = [f"{folder}/{number}-{file.name}" for number, file in enumerate(files)]
            for file, path in zip(files, paths, strict=True):
                self._transport.put(file, path)
            yield paths

    @contextmanager
    def fetched(self, url: str, *, sha256: str, size_bytes: int, limit_s: float = _FETCH_S) -> Iterator[str]:
        """Have the device download a model and verify it; yields its path in a temporary folder.

        Raises:
            BoardError: the device can't be reached, can't download, or got another file.
        """
        with self._temporary_folder() as folder:
            path = f"{folder}/model"
            wanted = {"sha256": sha256, "size_bytes": size_bytes, "limit_s": limit_s}
            self.call("fetch", wait_s=limit_s, url=url, target=path, **wanted)
            yield path

    def download(self, source: str, target: Path) -> None:
        """Copy a file from the device.

        Raises:
            BoardError: the device can't be reached, or lacks the file.
        """
        self._transport.get(source, target)

    def push_runtime(self) -> str:
        """Upload this version of the runtime once per object; its path on the device.

        Raises:
            BoardError: the device can't be reached, or can't store the file.
        """
        if self._runtime_path is None:
            bundle = runtime_bundle()
            path = f"{self.root}/runtime/{hashlib.sha256(bundle).hexdigest()[:16]}.pyz"
            with tempfile.TemporaryDirectory() as local:
                packed = Path(local) / "runtime.pyz"
                packed.write_bytes(bundle)
                self._transport.put(packed, path)
            self._runtime_path = path
        return self._runtime_path

    @contextmanager
    def _temporary_folder(self) -> Iterator[str]:
        folder = f"{self.root}/staging/{uuid.uuid4().hex}"
        try:
            yield folder
        finally:
            self.run(["rm", "-rf", "--", folder])

    def _run_repeatedly(self, command: str, argv: Sequence[str], timeout_s: float) -> CommandResult:
        """Run a command; a repeatable one once more after a lost connection."""
        try:
            return self._transport.run(argv, timeout_s=timeout_s)
        except ConnectionLostError:
            if command not in _REPEATABLE:
                raise
            return self._transport.run(argv, timeout_s=timeout_s)

    def _answer(self, command: str, done: CommandResult) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise BoardError(
                f"device {self._device.name}, {command}: the process ended with code {done.code} without an "
                f"answer; its last output: {last_output(done.stderr or done.stdout)}. "
                f"{self._see_doctor}"
            ) from error
        return answer

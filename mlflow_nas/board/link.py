"""The runtime on a device: pushed there, called, its files staged."""

import hashlib
import json
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow_nas.board import runtime
from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.transport import ConnectionLostError, Finished, Transport, last_output
from mlflow_nas.errors import BoardError, CandidateError, ConfigError, NasError
from mlflow_nas.types import Device

__all__ = ["Link"]

_PATIENCE_S = 120.0  # a slow board loads a model and imports onnxruntime within this time
_REPEATABLE = (
    "facts",
    "inspect",
    "time",
    "profile",
    "infer",
    "fetch",
    "get",
    "list",
)  # nothing changes there
_TO_THE_END = ("install", "rollback", "delete")  # half of them is worse than any of them
_ERRORS: Mapping[str, type[NasError]] = {
    "model": CandidateError,
    "request": ConfigError,
    "device": BoardError,
}


class Link:
    """Calls of the runtime on one device.

    Args:
        device: its record in the inventory.
        transport: the way to it.
    """

    def __init__(self, device: Device, transport: Transport) -> None:
        self._device = device
        self._transport = transport
        self._runtime: str | None = None

    @property
    def root(self) -> str:
        """The folder on the device in which everything of ours stays."""
        return self._transport.root

    def close(self) -> None:
        """Let go of the device; a later call reaches it again."""
        self._transport.close()

    def run(self, argv: Sequence[str]) -> Finished:
        """Run a short command of the device's system.

        Raises:
            BoardError: the device can't be reached.
        """
        return self._transport.run(argv, timeout_s=_PATIENCE_S)

    @property
    def python(self) -> list[str]:
        """The command that starts the device's Python, with the variables of its record."""
        variables = [f"{name}={value}" for name, value in self._device.environment.items()]
        return [*(["env", *variables] if variables else []), *self._transport.python]

    def call(self, command: str, *, wait_s: float = 0.0, **options: object) -> dict[str, Any]:
        """The runtime's answer to one command, or its error under the name of whose fault it is.

        Args:
            command: of the runtime.
            wait_s: seconds that it may take beyond loading a model.
            options: of the command.
        """
        mode = runtime.DETACHED if command in _TO_THE_END else runtime.ATTACHED
        argv = [*self.python, self.push(), command, json.dumps(options), mode]
        answer = self._answer(command, self._patiently(command, argv, _PATIENCE_S + wait_s))
        if "error" in answer:
            raise _ERRORS[answer["kind"]](f"device {self._device.name}, {command}: {answer['error']}")
        return answer

    @contextmanager
    def staged(self, *files: Path) -> Iterator[Sequence[str]]:
        """The files on the device, in a folder that goes afterwards."""
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise ConfigError(f"the file {missing[0]} does not exist; export the model first")
        folder = f"{self.root}/staging/{uuid.uuid4().hex}"
        paths = [f"{folder}/{number}-{file.name}" for number, file in enumerate(files)]
        try:
            for file, path in zip(files, paths, strict=True):
                self._transport.put(file, path)
            yield paths
        finally:
            self.remove(folder)

    @contextmanager
    def pulled(self, url: str, *, sha256: str, size_bytes: int, limit_s: float) -> Iterator[str]:
        """A file that the device fetches itself, in a folder that goes afterwards."""
        folder = f"{self.root}/staging/{uuid.uuid4().hex}"
        path = f"{folder}/model.onnx"
        wanted = {"sha256": sha256, "size_bytes": size_bytes, "limit_s": limit_s}
        try:
            self.call("fetch", wait_s=limit_s, url=url, target=path, **wanted)
            yield path
        finally:
            self.remove(folder)

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file from the device."""
        self._transport.get(source, target)

    def remove(self, folder: str) -> None:
        """Remove a folder on the device."""
        self.run(["rm", "-rf", "--", folder])

    def push(self) -> str:
        """Path of this version of the runtime on the device; pushed once per object.

        Raises:
            BoardError: the device can't be reached, or can't keep the file.
        """
        if self._runtime is None:
            bundle = runtime_bundle()
            path = f"{self.root}/runtime/{hashlib.sha256(bundle).hexdigest()[:16]}.pyz"
            with tempfile.TemporaryDirectory() as local:
                packed = Path(local) / "runtime.pyz"
                packed.write_bytes(bundle)
                self._transport.put(packed, path)
            self._runtime = path
        return self._runtime

    def _patiently(self, command: str, argv: Sequence[str], timeout_s: float) -> Finished:
        """Run it; once more when the connection was lost and the command changes nothing on the device."""
        try:
            return self._transport.run(argv, timeout_s=timeout_s)
        except ConnectionLostError:
            if command not in _REPEATABLE:
                raise
            return self._transport.run(argv, timeout_s=timeout_s)

    def _answer(self, command: str, done: Finished) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise BoardError(
                f"device {self._device.name}, {command}: the process ended with code {done.code} without an "
                f"answer; its last output: {last_output(done.stderr or done.stdout)}. "
                f"See what is missing: mlflow_nas doctor --board {self._device.name}"
            ) from error
        return answer

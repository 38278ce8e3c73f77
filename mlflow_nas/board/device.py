"""A device behind a transport: its facts, measurements, inference and deployed models."""

import getpass
import hashlib
import json
import os
import socket
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import runtime
from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.transport import ConnectionLostError, Finished, Transport, last_output
from mlflow_nas.errors import BoardError, CandidateError, ConfigError, NasError
from mlflow_nas.types import Device, Latency

__all__ = ["DeviceBoard", "Manifest"]

Manifest = dict[str, Any]

_PATIENCE_S = 120.0  # a slow board loads a model and imports onnxruntime within this time
_BUDGETS = 10  # a measurement may take this many budgets: the least number of runs goes before the budget
_LEAST_RUNS, _MOST_RUNS = 20, 2000
_CHANGING = ("install", "rollback", "delete")
_ERRORS: Mapping[str, type[NasError]] = {
    "model": CandidateError,
    "request": ConfigError,
    "device": BoardError,
}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class DeviceBoard:
    """One device; implements `mlflow_nas.types.Board` and keeps the models that are deployed there.

    Args:
        device: its record in the inventory.
        transport: the way to the device.
        budget_s: seconds of timed runs per measurement.
        wait_s: how long a measurement waits for another one on the device to end.
    """

    def __init__(self, device: Device, transport: Transport, *, budget_s: float, wait_s: float) -> None:
        self._device = device
        self._transport = transport
        self._budget_s = budget_s
        self._wait_s = wait_s
        self._runtime: str | None = None

    @property
    def name(self) -> str:
        """Name in the device inventory."""
        return self._device.name

    @property
    def device(self) -> Device:
        """The record in the inventory."""
        return self._device

    @property
    def _session(self) -> dict[str, Any]:
        """How a model runs on the device, as the runtime takes it."""
        return {
            "threads": self._device.threads,
            "cores": list(self._device.cpu_affinity),
            "providers": [[name, dict(options)] for name, options in self._device.providers],
        }

    @property
    def _store(self) -> str:
        return f"{self._transport.root}/deployed"

    @property
    def _lock(self) -> dict[str, Any]:
        """How the device is held for one measurement, as the runtime takes it."""
        holder = f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"
        return {"path": f"{self._transport.root}/lock", "holder": holder, "wait_s": self._wait_s}

    def facts(self) -> Mapping[str, str]:
        """What the device is: machine, cores, governor, memory, versions.

        Raises:
            BoardError: the device can't be reached.
        """
        return self._call("facts")

    def measure(self, model: Path, *, baseline: Path | None = None) -> Latency:
        """Time the model on the device, in turn with the baseline when one is given.

        Raises:
            BoardError: the device can't be reached, or died midway.
            CandidateError: the device is well but refuses a model; the sentence names the file.
        """
        with self._staged(*([model, baseline] if baseline else [model])) as paths:
            answer = self._call(
                "time",
                model=paths[0],
                baseline=paths[1] if baseline else None,
                session=self._session,
                lock=self._lock,
                budget_s=self._budget_s,
                min_runs=_LEAST_RUNS,
                max_runs=_MOST_RUNS,
            )
        return Latency(board=self.name, **answer)

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a model file on images [n, 3, H, W], one by one, on the device; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or died midway.
            CandidateError: the device refuses the model.
            ConfigError: the images don't fit the model.
        """
        with self._staged(model) as (path,):
            return self._infer(images, model=path)

    def infer_deployed(self, name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the active version of a deployed model on images [n, 3, H, W]; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or its file is damaged.
            ConfigError: nothing is deployed under the name, or the images don't fit.
        """
        manifest = self.get_model(name)
        if manifest is None:
            raise ConfigError(f"{name!r} is not on the device {self.name}; deploy it first")
        sha256 = manifest["sha256"]
        return self._infer(images, model=f"{self._store}/{name}/models/{sha256}.onnx", sha256=sha256)

    def install(self, name: str, model: Path, manifest: Mapping[str, Any]) -> Manifest:
        """Make the file the active version of `name`, keeping the version before; the new manifest.

        Any failure, a power cut on the device included, leaves the version before active.

        Raises:
            BoardError: the device can't be reached, or the file arrived damaged.
            CandidateError: the device refuses the model.
            ConfigError: the name has characters other than letters, digits, `.`, `_`, `-`.
        """
        with self._staged(model) as (path,):
            return self._call(
                "install",
                root=self._store,
                name=name,
                staged=path,
                sha256=_sha256(model),
                manifest=dict(manifest),
            )

    def list_models(self) -> list[Manifest]:
        """The active manifest of every deployed model, by name.

        Raises:
            BoardError: the device can't be reached.
        """
        found: list[Manifest] = self._call("list", root=self._store)["manifests"]
        return found

    def get_model(self, name: str) -> Manifest | None:
        """The active manifest of a deployed model; None when there is none.

        Raises:
            BoardError: the device can't be reached.
            ConfigError: the name is refused.
        """
        found: Manifest | None = self._call("get", root=self._store, name=name)["manifest"]
        return found

    def rollback(self, name: str) -> Manifest:
        """Make the previous version active again; its manifest.

        Raises:
            BoardError: the device can't be reached, or the previous file is damaged.
            ConfigError: there is no previous version.
        """
        return self._call("rollback", root=self._store, name=name)

    def delete_model(self, name: str) -> bool:
        """Remove a deployed model; whether there was one.

        Raises:
            BoardError: the device can't be reached.
            ConfigError: the name is refused.
        """
        return bool(self._call("delete", root=self._store, name=name)["deleted"])

    def close(self) -> None:
        """Let go of the device; a later call reaches it again."""
        self._transport.close()

    @contextmanager
    def _staged(self, *files: Path) -> Iterator[Sequence[str]]:
        """The files on the device, in a folder that goes afterwards."""
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise ConfigError(f"the file {missing[0]} does not exist; export the model first")
        folder = f"{self._transport.root}/staging/{uuid.uuid4().hex}"
        paths = [f"{folder}/{number}-{file.name}" for number, file in enumerate(files)]
        try:
            for file, path in zip(files, paths, strict=True):
                self._transport.put(file, path)
            yield paths
        finally:
            self._transport.run(["rm", "-rf", "--", folder], timeout_s=_PATIENCE_S)

    def _infer(self, images: NDArray[np.float32], **options: str) -> NDArray[np.float32]:
        with tempfile.TemporaryDirectory() as local:
            given, answered = Path(local) / "images.npy", Path(local) / "outputs.npy"
            np.save(given, images)
            with self._staged(given) as (path,):
                output = path.replace("images.npy", "outputs.npy")
                self._call("infer", images=path, output=output, session=self._session, **options)
                self._transport.get(output, answered)
            found: NDArray[np.float32] = np.load(answered)
        return found

    def _push_runtime(self) -> str:
        """Path of this version of the runtime on the device; pushed once per board object."""
        if self._runtime is None:
            bundle = runtime_bundle()
            path = f"{self._transport.root}/runtime/{hashlib.sha256(bundle).hexdigest()[:16]}.pyz"
            with tempfile.TemporaryDirectory() as local:
                packed = Path(local) / "runtime.pyz"
                packed.write_bytes(bundle)
                self._transport.put(packed, path)
            self._runtime = path
        return self._runtime

    def _call(self, command: str, **options: object) -> dict[str, Any]:
        """The runtime's answer to one command, or its error under the name of whose fault it is."""
        variables = [f"{name}={value}" for name, value in self._device.environment.items()]
        argv = [
            *(["env", *variables] if variables else []),
            *self._transport.python,
            self._push_runtime(),
            command,
            json.dumps(options),
            runtime.ATTACHED,
        ]
        answer = self._answer(command, self._run(command, argv))
        if "error" in answer:
            raise _ERRORS[answer["kind"]](f"device {self.name}, {command}: {answer['error']}")
        return answer

    def _run(self, command: str, argv: Sequence[str]) -> Finished:
        """Run it; once more when the connection was lost and the command changes nothing on the device."""
        timeout_s = _PATIENCE_S + _BUDGETS * self._budget_s + self._wait_s
        try:
            return self._transport.run(argv, timeout_s=timeout_s)
        except ConnectionLostError:
            if command in _CHANGING:
                raise
            return self._transport.run(argv, timeout_s=timeout_s)

    def _answer(self, command: str, done: Finished) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(done.stdout)
        except json.JSONDecodeError as error:
            raise BoardError(
                f"device {self.name}, {command}: the process ended with code {done.code} without an answer; "
                f"its last output: {last_output(done.stderr or done.stdout)}. Check the device's Python, "
                "onnxruntime and free memory"
            ) from error
        return answer

"""A device behind a transport: its facts, measurements and inference."""

import getpass
import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.client import RuntimeClient
from mlflow_nas.board.runtime.facts import LITERT, ONNXRUNTIME
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.board.runtime.timing import MAX_SPREAD, PROTOCOL
from mlflow_nas.board.transport import Transport
from mlflow_nas.types import Device, Latency

__all__ = ["DeviceBoard"]

_BUDGETS = 20  # a measurement may take this many budgets: the minimum of runs has priority over the budget
_SAME_DEVICE = (
    "machine",
    "soc",
    "cpu",
    "int8",
    "cores",
    "governor",
    "python",
    "numpy",
    "onnxruntime",
    "litert",
)


class DeviceBoard:
    """One device; implements `mlflow_nas.types.Board`. `DeployedModels` manages the models on it.

    Args:
        device: its record in the inventory.
        transport: connects to it.
        budget_s: seconds of timed runs per measurement.
        wait_s: how long a measurement waits for another one on the device to end.
        max_spread: a measurement with a larger spread is repeated, and in the end unstable.
    """

    def __init__(
        self,
        device: Device,
        transport: Transport,
        *,
        budget_s: float,
        wait_s: float,
        max_spread: float = MAX_SPREAD,
    ) -> None:
        self.device = device
        self.client = RuntimeClient(device, transport)
        self._wait_s = wait_s
        self._timing = {**PROTOCOL, "budget_s": budget_s, "max_spread": max_spread}

    @property
    def name(self) -> str:
        """Name in the device inventory."""
        return self.device.name

    @property
    def session(self) -> dict[str, Any]:
        """Threads, cores and providers of a model, as the runtime's `load` takes them."""
        delegate = self.device.delegate
        return {
            "threads": self.device.threads,
            "cores": list(self.device.cpu_affinity),
            "providers": [[name, dict(options)] for name, options in self.device.providers],
            **({"delegate": [delegate[0], dict(delegate[1])]} if delegate else {}),
        }

    @property
    def protocol(self) -> str:
        """Digest of threads, providers, session options and affinity, 12 hex digits.

        Raises:
            BoardError: the device, whose processor decides the session options, can't be reached.
        """
        compared = {**self.session, "options": self.session_options, **self._compiler}
        return hashlib.sha256(json.dumps(compared, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def _compiler(self) -> dict[str, str]:
        """Runtime and accelerator of another runtime than ONNX Runtime."""
        device = self.device
        own = {"runtime": device.runtime, "accelerator": device.accelerator}
        return {} if device.runtime == ONNXRUNTIME else own

    @property
    def session_options(self) -> dict[str, Any]:
        """ONNX Runtime's options on this device, by its processor; empty where LiteRT runs the models.

        Raises:
            BoardError: the device can't be reached.
        """
        return {} if self.device.library == LITERT else session_options(self._facts)

    @property
    def lock(self) -> dict[str, Any]:
        """Path, holder and patience of the device's lock, as the runtime's `device_lock` takes them."""
        holder = f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"
        return {"path": f"{self.client.root}/lock", "holder": holder, "wait_s": self._wait_s}

    def facts(self) -> Mapping[str, str]:
        """What the device is: machine, cores, governor, memory, versions.

        Raises:
            BoardError: the device can't be reached.
        """
        return self.client.call("facts", library=self.device.library)

    def identity(self) -> Mapping[str, Any]:
        """All that a measurement depends on besides the files; JSON values.

        Device and its hardware, session, environment, Python, timing protocol, the runtime's digest. The
        device is asked once per object.

        Raises:
            BoardError: the device can't be reached.
        """
        return self._identity

    @cached_property
    def _facts(self) -> Mapping[str, str]:
        return self.facts()

    @cached_property
    def _identity(self) -> dict[str, Any]:
        facts = self._facts
        return {
            "device": self.name,
            "hardware": {name: facts[name] for name in _SAME_DEVICE if name in facts},
            "session": self.session,
            "protocol": self.protocol,
            "environment": dict(self.device.environment),
            "python": list(self.device.python),
            "timing": self._timing,
            "runtime": hashlib.sha256(runtime_bundle()).hexdigest(),
        }

    def measure(self, model: Path, *, reference: Path | None = None) -> Latency:
        """Time the model on the device, alternately with the reference model when one is given.

        Raises:
            BoardError: the device can't be reached, died midway, or stayed busy.
            CandidateError: the device works but refuses a model; the message names the file.
        """
        with self.client.staged(*([model, reference] if reference else [model])) as paths:
            return self.measure_remote(paths[0], reference=paths[1] if reference else None)

    def measure_remote(self, model: str, *, reference: str | None = None) -> Latency:
        """`measure` of files that are on the device already."""
        answer = self.client.call(
            "time",
            model=model,
            reference=reference,
            session=self.session,
            lock=self.lock,
            protocol=self._timing,
            wait_s=self._wait_s + _BUDGETS * self._timing["budget_s"],
        )
        return Latency(board=self.name, emulated=self.device.emulated, **answer)

    def profile_remote(self, models: Sequence[str], *, min_runs: int, max_runs: int) -> dict[str, Any]:
        """The runtime's profiles of files on the device, run alternately, and the device's facts."""
        return self.client.call(
            "profile",
            models=list(models),
            session=self.session,
            lock=self.lock,
            budget_s=self._timing["budget_s"],
            min_runs=min_runs,
            max_runs=max_runs,
            wait_s=self._wait_s + _BUDGETS * self._timing["budget_s"],
        )

    def threads_remote(self, models: Sequence[str], *, threads: Sequence[int]) -> list[dict[str, Any]]:
        """`threads` and `ms`, the median time of each file on the device, for each number of threads."""
        rows: list[dict[str, Any]] = self.client.call(
            "by_threads",
            models=list(models),
            session=self.session,
            lock=self.lock,
            threads=list(threads),
            budget_s=self._timing["budget_s"] / 2,
            min_runs=self._timing["min_runs"],
            max_runs=self._timing["max_runs"],
            wait_s=self._wait_s + _BUDGETS * self._timing["budget_s"],
        )["rows"]
        return rows

    def sustained_remote(self, model: str, *, seconds: float) -> dict[str, Any]:
        """`windows` of a load without a pause, and the device's facts before and after it."""
        load = {"session": self.session, "lock": self.lock, "seconds": seconds}
        return self.client.call("sustained", model=model, **load, wait_s=self._wait_s + 2 * seconds)

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a model file on images [n, 3, H, W], one by one, on the device; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or died midway.
            CandidateError: the device refuses the model.
            ConfigError: the images don't fit the model.
        """
        with self.client.staged(model) as (path,):
            return self.infer_remote(path, images)

    def infer_remote(
        self, model: str, images: NDArray[np.float32], *, sha256: str | None = None
    ) -> NDArray[np.float32]:
        """`infer` of a file on the device; with a hash the device verifies the file first."""
        with tempfile.TemporaryDirectory() as local:
            inputs, outputs = Path(local) / "images.npy", Path(local) / "outputs.npy"
            np.save(inputs, images)
            with self.client.staged(inputs) as (path,):
                output = path.replace("images.npy", "outputs.npy")
                self.client.call(
                    "infer",
                    model=model,
                    images=path,
                    output=output,
                    session=self.session,
                    sha256=sha256,
                    lock=self.lock,
                    wait_s=self._wait_s,
                )
                self.client.download(output, outputs)
            found: NDArray[np.float32] = np.load(outputs)
        return found

    def close(self) -> None:
        """Close the connection; a later call opens it again."""
        self.client.close()

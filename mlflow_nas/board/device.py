"""A device behind a transport: its facts, measurements and inference."""

import getpass
import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.bundle import runtime_bundle
from mlflow_nas.board.cache import MeasurementCache, identity
from mlflow_nas.board.link import Link
from mlflow_nas.board.transport import Transport
from mlflow_nas.types import Device, Latency

__all__ = ["DeviceBoard"]

MAX_SPREAD = 0.03
"""Limit of the coefficient of variation over the parts of a measurement."""

PULL_S = 1800.0
"""Longest time for a device to fetch a model: 4 MB over 20 kbit/s."""

_BUDGETS = 20  # a measurement may take this many budgets: the least number of runs goes before the budget
_PROTOCOL = {"min_runs": 20, "max_runs": 2000, "min_loads": 3, "max_loads": 15, "attempts": 3}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class DeviceBoard:
    """One device; implements `mlflow_nas.types.Board`. `DeployedModels` keeps models on it.

    Args:
        device: its record in the inventory.
        transport: the way to the device.
        budget_s: seconds of timed runs per measurement.
        wait_s: how long a measurement waits for another one on the device to end.
        max_spread: a measurement that varies more is repeated, and flagged in the end.
        cache: folder of the measurements that are not repeated; None for none.
    """

    def __init__(
        self,
        device: Device,
        transport: Transport,
        *,
        budget_s: float,
        wait_s: float,
        max_spread: float = MAX_SPREAD,
        cache: Path | None = None,
    ) -> None:
        self._device = device
        self._link = Link(device, transport)
        self._budget_s = budget_s
        self._wait_s = wait_s
        self._max_spread = max_spread
        self._cache = MeasurementCache(cache)
        self._identity: dict[str, str] | None = None

    @property
    def name(self) -> str:
        """Name in the device inventory."""
        return self._device.name

    @property
    def device(self) -> Device:
        """The record in the inventory."""
        return self._device

    @property
    def root(self) -> str:
        """The folder on the device in which everything of ours stays."""
        return self._link.root

    @property
    def session(self) -> dict[str, Any]:
        """How a model runs on the device, as the runtime takes it."""
        return {
            "threads": self._device.threads,
            "cores": list(self._device.cpu_affinity),
            "providers": [[name, dict(options)] for name, options in self._device.providers],
        }

    @property
    def lock(self) -> dict[str, Any]:
        """How the device is held for one measurement or switch, as the runtime takes it."""
        holder = f"{getpass.getuser()}@{socket.gethostname()} (process {os.getpid()})"
        return {"path": f"{self._link.root}/lock", "holder": holder, "wait_s": self._wait_s}

    def facts(self) -> Mapping[str, str]:
        """What the device is: machine, cores, governor, memory, versions.

        Raises:
            BoardError: the device can't be reached.
        """
        return self.call("facts")

    def measure(self, model: Path, *, baseline: Path | None = None) -> Latency:
        """Time the model on the device, in turn with the baseline when one is given.

        What was measured before, in the same way, is not measured again.

        Raises:
            BoardError: the device can't be reached, died midway, or stayed busy.
            CandidateError: the device is well but refuses a model; the sentence names the file.
        """
        key = self._measurement_key(model, baseline)
        answer = self._cache.find(key)
        if answer is None:
            with self.staged(*([model, baseline] if baseline else [model])) as paths:
                answer = self._time(paths[0], paths[1] if baseline else None)
            if not answer["unstable"]:
                self._cache.keep(key, answer)
        return self._latency(answer)

    def measure_there(self, model: str, *, baseline: str | None = None) -> Latency:
        """`measure` of files that are on the device already, whatever was measured before."""
        return self._latency(self._time(model, baseline))

    def profile_there(self, models: Sequence[str], *, min_runs: int, max_runs: int) -> dict[str, Any]:
        """The runtime's profiles of files that are on the device already, run in turn, and its facts."""
        return self.call(
            "profile",
            models=list(models),
            session=self.session,
            lock=self.lock,
            budget_s=self._budget_s,
            min_runs=min_runs,
            max_runs=max_runs,
            wait_s=self._wait_s + _BUDGETS * self._budget_s,
        )

    def _time(self, model: str, baseline: str | None) -> dict[str, Any]:
        return self.call(
            "time",
            model=model,
            baseline=baseline,
            session=self.session,
            lock=self.lock,
            protocol=self._protocol,
            wait_s=self._wait_s + _BUDGETS * self._budget_s,
        )

    def _latency(self, answer: Mapping[str, Any]) -> Latency:
        return Latency(board=self.name, emulated=self._device.emulated, **answer)

    @property
    def _protocol(self) -> dict[str, float]:
        return {**_PROTOCOL, "budget_s": self._budget_s, "max_spread": self._max_spread}

    def _measurement_key(self, model: Path, baseline: Path | None) -> dict[str, Any]:
        """All that a measurement depends on: files, device, protocol, versions."""
        if self._identity is None:
            self._identity = identity(self.facts())
        return {
            "model": _sha256(model),
            "baseline": _sha256(baseline) if baseline else None,
            "device": self.name,
            "identity": self._identity,
            "session": self.session,
            "environment": dict(self._device.environment),
            "python": list(self._device.python),
            "protocol": self._protocol,
            "runtime": hashlib.sha256(runtime_bundle()).hexdigest(),
        }

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a model file on images [n, 3, H, W], one by one, on the device; its outputs [n, ...].

        Raises:
            BoardError: the device can't be reached, or died midway.
            CandidateError: the device refuses the model.
            ConfigError: the images don't fit the model.
        """
        with self.staged(model) as (path,):
            return self.infer_there(path, images)

    def close(self) -> None:
        """Let go of the device; a later call reaches it again."""
        self._link.close()

    def call(self, command: str, *, wait_s: float = 0.0, **options: object) -> dict[str, Any]:
        """The runtime's answer to one command; see Link."""
        return self._link.call(command, wait_s=wait_s, **options)

    def staged(self, *files: Path) -> AbstractContextManager[Sequence[str]]:
        """The files on the device, in a folder that goes afterwards; see Link."""
        return self._link.staged(*files)

    def pulled(
        self, url: str, *, sha256: str, size_bytes: int, limit_s: float = PULL_S
    ) -> AbstractContextManager[str]:
        """A file that the device fetches itself, verified there, in a folder that goes afterwards.

        Raises:
            BoardError: the device can't be reached, can't fetch, or got another file.
        """
        return self._link.pulled(url, sha256=sha256, size_bytes=size_bytes, limit_s=limit_s)

    def remove(self, folder: str) -> None:
        """Remove a folder on the device."""
        self._link.remove(folder)

    def infer_there(
        self, model: str, images: NDArray[np.float32], *, sha256: str | None = None
    ) -> NDArray[np.float32]:
        """`infer` of a file that is on the device already; with a hash the device verifies it first."""
        with tempfile.TemporaryDirectory() as local:
            given, answered = Path(local) / "images.npy", Path(local) / "outputs.npy"
            np.save(given, images)
            with self.staged(given) as (path,):
                output = path.replace("images.npy", "outputs.npy")
                self.call(
                    "infer",
                    model=model,
                    images=path,
                    output=output,
                    session=self.session,
                    sha256=sha256,
                    lock=self.lock,
                    wait_s=self._wait_s,
                )
                self._link.fetch(output, answered)
            found: NDArray[np.float32] = np.load(answered)
        return found

"""A board without hardware: its latency is what the compiler of an accelerator estimates."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.board.runtime.litert import host_file, is_tflite, read_description
from mlflow_nas.board.runtime.session import open_session
from mlflow_nas.board.transport import CommandResult
from mlflow_nas.errors import BoardError, CandidateError
from mlflow_nas.types import Device, Latency

__all__ = ["EstimateBoard", "NoTransport"]


class NoTransport:
    """Refuses what needs a device.

    Args:
        device: a board without hardware.
    """

    def __init__(self, device: Device) -> None:
        self.root = device.directory
        self.python: Sequence[str] = ("python",)
        self._name = device.name

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:  # noqa: ARG002 - of the protocol
        """Refuse."""
        raise self._refusal()

    def put(self, source: Path, target: str) -> None:  # noqa: ARG002 - of the protocol
        """Refuse."""
        raise self._refusal()

    def get(self, source: str, target: Path) -> None:  # noqa: ARG002 - of the protocol
        """Refuse."""
        raise self._refusal()

    def close(self) -> None:
        """There is no connection."""

    def _refusal(self) -> BoardError:
        return BoardError(
            f"{self._name} is an estimate, there is no such device: nothing is deployed, profiled or run "
            "on it. Name a device of the inventory"
        )


class EstimateBoard(DeviceBoard):
    """The estimates in files that a compiler wrote, under the name of the board; tagged as estimates.

    Args:
        device: of the transport "none".
    """

    def __init__(self, device: Device) -> None:
        super().__init__(device, NoTransport(device), budget_s=0, wait_s=0)

    @property
    def protocol(self) -> str:
        """Digest of what the estimates are for, 12 hex digits: no measured latency has it."""
        return hashlib.sha256(json.dumps(self._target).encode()).hexdigest()[:12]

    @property
    def _target(self) -> dict[str, str]:
        return {"latency": "estimate", "compiler": self.device.runtime, "machine": self.device.accelerator}

    def facts(self) -> Mapping[str, str]:
        """The accelerator, and that latencies are estimates."""
        return self._target

    def identity(self) -> Mapping[str, Any]:
        """All that an estimate depends on besides the file."""
        return {"device": self.name, "hardware": self._target, "protocol": self.protocol}

    def measure(self, model: Path, *, reference: Path | None = None) -> Latency:
        """The estimates of both files; no inference is timed.

        Raises:
            CandidateError: a file has no estimate for this accelerator.
        """
        found, facts = self._estimate(model)
        other = self._estimate(reference)[0] if reference else None
        return Latency(
            p50_ms=found,
            p90_ms=found,
            p99_ms=found,
            min_ms=found,
            mean_ms=found,
            cv=0.0,
            runs=0,
            board=self.name,
            reference_p50_ms=other,
            ratio=found / other if other else None,
            facts={**self._target, **facts},
        )

    def _estimate(self, model: Path) -> tuple[float, dict[str, str]]:
        found = read_description(model).get("estimate", {}) if is_tflite(model) else {}
        if found.get("accelerator") != self.device.accelerator:
            raise CandidateError(
                f"{model.name} has no estimate for {self.device.accelerator}: it was compiled for "
                f"{found.get('accelerator', 'no accelerator')}; search with --board {self.name}"
            )
        return float(found["latency_ms"]), dict(found["facts"])

    def infer(self, model: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs [n, ...] of the file that computes the same here, on images [n, 3, H, W]."""
        network, _ = open_session(str(host_file(model)), threads=1)
        taken = image_input(network)
        return np.concatenate([network.run(None, taken.feed(image[np.newaxis]))[0] for image in images])

"""A device without hardware: its latency is a formula, its store is real."""

import io
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.board import runtime
from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.transport import Finished, LocalTransport
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["FakeBoard", "fake_latency_ms"]

_RUNS = 100


def fake_latency_ms(size_bytes: int, input_height: int, input_width: int) -> float:
    """Half a millisecond, one per megabyte of the file and one per 100,000 pixels of the input."""
    return 0.5 + size_bytes / 1e6 + input_height * input_width / 1e5


def _file_latency_ms(model: str) -> float:
    """The formula for one file; runtime.Failure when onnxruntime refuses it."""
    session, _ = runtime.load(model, threads=1)
    height, width = session.get_inputs()[0].shape[-2:]
    return fake_latency_ms(Path(model).stat().st_size, height, width)


def _time(model: str, baseline: str | None = None, **_: object) -> dict[str, Any]:
    p50_ms = _file_latency_ms(model)
    factors = {"p50_ms": 1.0, "p90_ms": 1.05, "p99_ms": 1.1, "min_ms": 0.95, "mean_ms": 1.01}
    answer: dict[str, Any] = {name: p50_ms * factor for name, factor in factors.items()}
    if baseline:
        answer["baseline_p50_ms"] = _file_latency_ms(baseline)
        answer["ratio"] = p50_ms / answer["baseline_p50_ms"]
    stable = {"cv": 0.01, "runs": _RUNS, "spread": 0.0, "attempts": 1, "unstable": False}
    return {**answer, **stable, "facts": _facts()}


def _facts() -> dict[str, str]:
    return {**runtime.facts(), "machine": "fake", "cpu": "none: the latency is a formula"}


class _FakeTransport:
    """Answers the runtime's commands in this process: no start of a Python per call."""

    def __init__(self, root: Path, fail_on: Mapping[str, NasError]) -> None:
        self._files = LocalTransport(root)
        self._fail_on = fail_on
        self.root = self._files.root
        self.python: Sequence[str] = ("python",)
        self.put = self._files.put
        self.get = self._files.get
        self.close = self._files.close

    def run(self, argv: Sequence[str], *, timeout_s: float) -> Finished:  # noqa: ARG002 - nothing here can hang
        """Answer like the runtime, or fail as the test wishes."""
        if argv[0] == "rm":
            shutil.rmtree(argv[-1], ignore_errors=True)
            return Finished(0, "", "")
        command, options = argv[-3:-1]
        if command in self._fail_on:
            raise self._fail_on[command]
        try:
            if command == "time":
                return Finished(0, json.dumps(_time(**json.loads(options))), "")
            if command == "facts":
                return Finished(0, json.dumps(_facts()), "")
        except runtime.Failure as failure:
            return Finished(1, json.dumps({"error": str(failure), "kind": failure.kind}), "")
        answers = io.StringIO()
        return Finished(runtime.main([command, options], answers), answers.getvalue(), "")


class FakeBoard(DeviceBoard):
    """The fake device: `fake_latency_ms` of the file, everything else real, all in this process.

    Args:
        root: folder of the deployed models.
        device: its record in the inventory; None for the built-in one.
        fail_on: the runtime's command, such as "time" or "install", to the error it raises; for tests of
            what happens then.
    """

    def __init__(
        self, root: Path, *, device: Device | None = None, fail_on: Mapping[str, NasError] | None = None
    ) -> None:
        built_in = Device(name="fake", transport="fake", directory=str(root))
        super().__init__(device or built_in, _FakeTransport(root, fail_on or {}), budget_s=0, wait_s=0)

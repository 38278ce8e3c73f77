"""A device without hardware: its latency is a formula, its store of deployed models is real."""

import io
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.runtime.dispatch import main
from mlflow_nas.board.runtime.facts import ONNXRUNTIME, facts, library_of
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.transport import CommandResult, LocalTransport
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["FakeBoard", "fake_latency_ms"]

_FACTORS = {"p50_ms": 1.0, "p90_ms": 1.05, "p99_ms": 1.1, "min_ms": 0.95, "mean_ms": 1.01}
_CONSTANTS = {"cv": 0.01, "runs": 100, "spread": 0.0, "attempts": 1}
_LOADS, _FIRST_RUN, _PIPELINE, _MEMORY = 10, 2, 3, 4  # to the latency; the last one to the file's size


def fake_latency_ms(size_bytes: int, input_height: int, input_width: int) -> float:
    """Half a millisecond, one per megabyte of the file and one per 100,000 pixels of the input."""
    return 0.5 + size_bytes / 1e6 + input_height * input_width / 1e5


def _file_latency_ms(model: str) -> float:
    """The formula for one file; Failure when onnxruntime refuses it."""
    session, _ = load(model, threads=1)
    height, width = image_input(session).size
    return fake_latency_ms(Path(model).stat().st_size, height, width)


def _facts(library: str = ONNXRUNTIME) -> dict[str, str]:
    return {**facts(library=library), "machine": "fake", "cpu": "none: the latency is a formula"}


class _FakeTransport:
    """Runs the runtime's commands in this process: no start of a Python per call."""

    def __init__(
        self,
        root: Path,
        commands: Mapping[str, Callable[..., Mapping[str, Any]]],
        fail_on: Mapping[str, NasError],
    ) -> None:
        files = LocalTransport(root)
        self._commands = commands
        self._fail_on = fail_on
        self.root = files.root
        self.python: Sequence[str] = ("python",)
        self.put = files.put
        self.get = files.get
        self.close = files.close

    def run(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:  # noqa: ARG002 - no call hangs
        """Answer like the runtime, or raise the test's error."""
        if argv[0] == "rm":
            shutil.rmtree(argv[-1], ignore_errors=True)
            return CommandResult(0, "", "")
        command, options = argv[-3:-1]
        if command in self._fail_on:
            raise self._fail_on[command]
        if command not in self._commands:
            answers = io.StringIO()
            return CommandResult(main([command, options], answers), answers.getvalue(), "")
        try:
            return CommandResult(0, json.dumps(self._commands[command](**json.loads(options))), "")
        except Failure as failure:
            return CommandResult(1, json.dumps({"error": str(failure), "kind": failure.kind}), "")


class FakeBoard(DeviceBoard):
    """The fake device: `fake_latency_ms` of the file, everything else real, all in this process.

    Args:
        root: folder of the deployed models.
        device: its record in the inventory; None for the built-in one.
        fail_on: the runtime's command, such as "time" or "install", to the error that it raises; for tests
            of a failing device.

    Attributes:
        speed: factor of all wall-clock times, but not of the ratio to the reference; tests change it between
            measurements.
        unstable_cause: makes every measurement unstable for that cause; "" for stable ones.
    """

    def __init__(
        self, root: Path, *, device: Device | None = None, fail_on: Mapping[str, NasError] | None = None
    ) -> None:
        self.speed = 1.0
        self.unstable_cause = ""
        transport = _FakeTransport(root, {"time": self._time, "facts": _facts}, fail_on or {})
        built_in = Device(name="fake", transport="fake", directory=str(root))
        super().__init__(device or built_in, transport, budget_s=0, wait_s=0)

    def _time(self, model: str, reference: str | None, **_: object) -> dict[str, Any]:
        model_ms = _file_latency_ms(model)
        answer: dict[str, Any] = {name: self.speed * factor * model_ms for name, factor in _FACTORS.items()}
        answer |= {"load_ms": _LOADS * model_ms, "first_run_ms": _FIRST_RUN * model_ms}
        answer["pipeline_ms"] = _PIPELINE * model_ms
        answer["peak_memory_bytes"] = _MEMORY * Path(model).stat().st_size
        if reference:
            reference_ms = _file_latency_ms(reference)
            answer |= {"reference_p50_ms": self.speed * reference_ms, "ratio": model_ms / reference_ms}
        unstable = {"unstable": bool(self.unstable_cause), "unstable_cause": self.unstable_cause}
        return {**answer, **_CONSTANTS, **unstable, "facts": _facts(library_of(model))}

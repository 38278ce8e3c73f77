"""The runtime `vela`: int8 TFLite files that Arm's compiler Vela translates for an Ethos-U NPU."""

import csv
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board.runtime.litert import read_description
from mlflow_nas.errors import CandidateError
from mlflow_nas.export import Quantization
from mlflow_nas.networks import Runner
from mlflow_nas.runtime.contract import NPU, Placement
from mlflow_nas.runtime.detector import OnnxDetector
from mlflow_nas.runtime.litert import LiteRt, append_description, compile_tflite, package_version
from mlflow_nas.types import Board, Device, Latency

__all__ = ["HOST_FILE", "Vela"]

HOST_FILE = "host.tflite"
"""The file before Vela, beside the compiled one: the same arithmetic on a processor without an NPU."""

COMPILE_S = 600.0

_PACKAGE = "ethos-u-vela"
_KIB = 1024
_OPERATORS = re.compile(r"^(CPU|NPU) operators = (\d+)", re.MULTILINE)
_SYSTEM = ("system_config", "memory_mode")


class Vela:
    """Vela for one accelerator.

    Args:
        device: whose accelerator its files are for.
    """

    name = "vela"
    suffix = ".tflite"

    def __init__(self, device: Device) -> None:
        self._accelerator = device.accelerator

    def identity(self) -> Mapping[str, str]:
        """The accelerator, Vela, and all of LiteRT's.

        Raises:
            ConfigError: a tool is missing; the sentence has the command that installs it.
        """
        own = {"vela": package_version(_PACKAGE, extra="ethos-u"), "accelerator": self._accelerator}
        return {**LiteRt().identity(), **own}

    def compile(
        self, fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization
    ) -> None:
        """Convert, quantize, keep that file as HOST_FILE beside the path, and translate it by Vela.

        Raises:
            CandidateError: the network can't be converted or translated.
            ConfigError: a file can't be read or written, or a tool is missing.
        """
        host = path.with_name(HOST_FILE)
        description = compile_tflite(fp32, host, calibration=calibration, choices=choices)
        compiled = self._translated(host, path)
        append_description(host, description)
        append_description(path, {**description, **compiled, "host": HOST_FILE})

    def _translated(self, host: Path, path: Path) -> dict[str, object]:
        """Write the compiled file; where its operators run, its memory and the estimate."""
        with tempfile.TemporaryDirectory() as folder:
            argv = [sys.executable, "-m", "ethosu.vela", str(host), "--output-dir", folder]
            printed = _run_vela([*argv, "--accelerator-config", self._accelerator])
            summary = _summary(Path(folder))
            path.write_bytes((Path(folder) / f"{host.stem}_vela.tflite").read_bytes())
        counts = {kind.lower(): int(count) for kind, count in _OPERATORS.findall(printed)}
        kinds = {kind: round(float(summary[f"{kind}_memory_used"]) * _KIB) for kind in ("sram", "dram")}
        estimate = {
            "accelerator": self._accelerator,
            "latency_ms": 1000 * float(summary["inference_time"]),
            "facts": {name: summary[name] for name in _SYSTEM}
            | {"compiler": f"Vela {self.identity()['vela']}"},
        }
        return {"operators": counts, "memory": kinds, "estimate": estimate}

    def placement(self, artefact: Path) -> Placement:
        """As Vela told it when it compiled the file."""
        found = read_description(artefact)
        return Placement(operators={NPU: 0, **found["operators"]}, memory=found["memory"])

    def time(self, artefact: Path, board: Board, *, reference: Path | None = None) -> Latency:
        """The board's measurement, or of a board without hardware Vela's estimate."""
        return board.measure(artefact, reference=reference)

    def run(self, artefact: Path) -> Runner:
        """Open the file before Vela with LiteRT."""
        return OnnxDetector(artefact)


def _run_vela(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise CandidateError(
            f"Vela did not compile the network within {COMPILE_S:g} s: make it smaller."
        ) from error
    if done.returncode:
        raise CandidateError(
            f"Vela can't compile the network: {(done.stdout + done.stderr).strip()[-600:]}. Change its "
            "operators."
        )
    return done.stdout


def _summary(folder: Path) -> Mapping[str, str]:
    """The one row of the table that Vela writes."""
    (path,) = folder.glob("*_summary_*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.DictReader(file))

"""The runtime `onnxruntime`: int8 ONNX files."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.export import Quantization, operator_count, quantize_int8
from mlflow_nas.networks import Runner
from mlflow_nas.runtime.contract import Placement
from mlflow_nas.runtime.detector import OnnxDetector
from mlflow_nas.types import Board, Device, Latency

__all__ = ["OnnxRuntime"]


class OnnxRuntime:
    """ONNX Runtime; the default.

    Args:
        device: that its files are for; None for any.
    """

    name = "onnxruntime"
    suffix = ".onnx"

    def __init__(self, device: Device | None = None) -> None:
        self._device = device

    def identity(self) -> Mapping[str, str]:
        """The version that quantizes and evaluates."""
        return {"onnxruntime": version("onnxruntime")}

    def compile(
        self, fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization
    ) -> None:
        """Quantize; see `quantize_int8`."""
        quantize_int8(fp32, path, calibration=calibration, choices=choices)

    def placement(self, artefact: Path) -> Placement:
        """All on the first of the device's execution providers."""
        provider = self._device.providers[0][0] if self._device else "CPUExecutionProvider"
        return Placement(operators={provider: operator_count(artefact)})

    def time(self, artefact: Path, board: Board, *, reference: Path | None = None) -> Latency:
        """The board's measurement."""
        return board.measure(artefact, reference=reference)

    def run(self, artefact: Path) -> Runner:
        """Open the file with ONNX Runtime."""
        return OnnxDetector(artefact)

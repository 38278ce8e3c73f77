"""What a runtime does: it compiles a float ONNX file for a device, and runs what it compiled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.export import Quantization
from mlflow_nas.networks import Runner
from mlflow_nas.types import Board, Latency

__all__ = ["NPU", "Placement", "Runtime"]

NPU = "npu"
"""The processor in `Placement.operators` whose share is the metric `npu_share`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a compiled file's operators run, and the memory that the compiler gave it.

    Attributes:
        operators: processor to number of operators.
        memory: kind, such as "sram", to bytes in use at most.
    """

    operators: Mapping[str, int]
    memory: Mapping[str, int] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """`npu_share`, 0..1, where there is an NPU, and `sram_bytes`, `dram_bytes` where they are known."""
        total = sum(self.operators.values())
        share = {"npu_share": self.operators[NPU] / total} if NPU in self.operators and total else {}
        return {**share, **{f"{kind}_bytes": float(count) for kind, count in self.memory.items()}}


class Runtime(Protocol):
    """Compiles the files of candidates and runs them; a device of the inventory names it."""

    @property
    def name(self) -> str:
        """In the inventory, the tag `nas.runtime` and the manifest."""

    @property
    def suffix(self) -> str:
        """Of its files, such as ".onnx"."""

    def identity(self) -> Mapping[str, str]:
        """All that a compiled file and its outputs depend on besides model and calibration: versions, target.

        Raises:
            ConfigError: a tool is missing; the sentence has the command that installs it.
        """

    def compile(
        self, fp32: Path, path: Path, *, calibration: NDArray[np.float32], choices: Quantization
    ) -> None:
        """Write the compiled int8 file of a float ONNX file of `export_onnx`.

        Args:
            fp32: the float file.
            path: of the compiled file, with the metadata of the float one; others may be written beside it.
            calibration: float32 [n, 3, H, W] in 0..1, images of the training split.
            choices: options of the quantization.

        Raises:
            CandidateError: the network can't be compiled.
            ConfigError: a file can't be read or written, or a tool is missing.
        """

    def placement(self, artefact: Path) -> Placement:
        """Where the operators of a compiled file run."""

    def time(self, artefact: Path, board: Board, *, reference: Path | None = None) -> Latency:
        """The latency of a compiled file on a board, in turn with a reference model's when one is given.

        Raises:
            BoardError: the board failed; CandidateError: it refuses the file.
        """

    def run(self, artefact: Path) -> Runner:
        """Open a compiled file on this machine, in the arithmetic of the device: what it computes of images.

        Raises:
            ConfigError: it can't be opened.
        """

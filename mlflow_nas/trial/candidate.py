"""An architecture while it is evaluated: its network, its data, and the outputs of its steps."""

import hashlib
import inspect
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas.data import DetectionDataModule, calibration_images
from mlflow_nas.errors import CandidateError, NasError
from mlflow_nas.space import state_digest
from mlflow_nas.train import classify
from mlflow_nas.trial.cache import Entry, file_digest, fingerprint
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.types import Architecture, Latency, Limit

__all__ = ["Candidate", "Step"]

_log = logging.getLogger(__name__)

CALIBRATION_IMAGES = 32
FP32_FILE, WEIGHTS_FILE = "model.onnx", "weights.pth"
INT8_FILE = "model.int8{suffix}"  # of the runtime
DETECTIONS_FILE = "detections.npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a trial.

    Attributes:
        name: also of its folder in the step cache.
        run: does the work: writes files into a folder, returns plain JSON values; those under "metrics" are
            the trial's.
        inputs: everything that the step depends on, as plain values; None for a step that is not cached.
        outputs: role of each file that it writes to the file's name; `{suffix}` stands for the runtime's.
        applies: whether the trial has this step.
        version: of the step's code, raised by a change that alters its output.
    """

    name: str
    run: Callable[["Candidate", Path], Mapping[str, Any]]
    inputs: Callable[["Candidate"], Mapping[str, object]] | None = None
    outputs: Mapping[str, str] = field(default_factory=dict)
    applies: Callable[["Candidate"], bool] = lambda _candidate: True
    version: int = 1


@dataclass(kw_only=True, eq=False)
class Candidate:
    """An architecture in a study's context.

    Attributes:
        context: of the study.
        architecture: the choices.
        listener: receives the events.
        is_trained: whether its files have trained weights, or the first ones.
        entries: step to its output.
        metrics: of all finished steps.
    """

    context: StudyContext
    architecture: Architecture
    listener: Listener = field(default_factory=Silent)
    is_trained: bool = True
    entries: dict[str, Entry] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)

    def run(self, step: Step) -> Entry:
        """Run a step, or use its cached output.

        Raises:
            CandidateError: the step fails for this architecture.
            MachineError, BoardError: the machine or the board fails.
        """
        self.listener.step(step.name)
        inputs = None if step.inputs is None else self._of_others(lambda: dict(step.inputs(self)))  # type: ignore[misc]
        if inputs is None:
            start = time.perf_counter()
            values = self._of_others(lambda: step.run(self, Path()))
            entry = Entry(Path(), values, time.perf_counter() - start, {}, "")
        else:
            key = fingerprint(step=step.name, version=step.version, **inputs)
            entry = self.context.cache.make(
                step.name, key, lambda folder: self._of_others(lambda: step.run(self, folder))
            )
        self.entries[step.name] = entry
        self.metrics |= entry.values.get("metrics", {})
        if "latency" in entry.values:
            latency = Latency(**entry.values["latency"])
            self.metrics |= latency.metrics(
                reference_ms=self.context.reference_ms or latency.reference_p50_ms,
                given_ratio=self.context.given_ratio,
            )
        return entry

    def _of_others(self, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run code that calls torch, ONNX Runtime or a user's space; classify its errors."""
        try:
            return work()
        except NasError:
            raise
        except SystemExit as error:
            raise CandidateError(
                f"The architecture's code called sys.exit({error.code}): remove that call."
            ) from error
        except Exception as error:
            _log.debug("A step failed", exc_info=True)
            raise classify(error) from error

    def untrained(self) -> "Candidate":
        """The same architecture with its first weights; it shares no entries."""
        return Candidate(context=self.context, architecture=self.architecture, is_trained=False)

    @property
    def trained_digest(self) -> str | None:
        """Digest of the final weights; None for the first ones."""
        return self.entries["train"].digests[WEIGHTS_FILE] if self.is_trained else None

    @property
    def classes(self) -> Sequence[str]:
        """Names of the network's classes."""
        return self.context.val.classes

    @property
    def limits(self) -> Sequence[Limit]:
        """Bounds on its metrics."""
        return self.context.limits

    @property
    def max_int8_drop(self) -> float:
        """Largest drop of accuracy by int8; the architecture fails above it."""
        return self.context.max_int8_drop

    @property
    def class_indexes(self) -> Sequence[int] | None:
        """For each class of the data the network's index of it; None where both have the same."""
        return None

    @property
    def key(self) -> str:
        """The architecture's stable name."""
        return self.context.space.key(self.architecture)

    @property
    def img_size(self) -> tuple[int, int]:
        """Height and width of the input, pixels."""
        return self.context.input_size(self.architecture)

    @cached_property
    def network(self) -> nn.Module:
        """The network with its first weights; the step `train` trains it in place."""
        return self.context.build(self.architecture)

    @cached_property
    def data(self) -> DetectionDataModule:
        """Both splits at the input's size."""
        return self.context.data(self.architecture)

    @cached_property
    def identity(self) -> dict[str, str]:
        """Of the network with its first weights: structure, weights, and the code of its space."""
        source = inspect.getsourcefile(self.context.space.build)
        return {
            "structure": hashlib.sha256(str(self.network).encode()).hexdigest(),
            "weights": state_digest(self.network.state_dict()),
            "source": file_digest(Path(source)) if source else "",
            "torch": torch.__version__,
        }

    @cached_property
    def final_network(self) -> nn.Module:
        """The network that is exported: trained, or with its first weights."""
        if not self.is_trained:
            return self.network
        network = self.context.build(self.architecture)
        weights = self.entries["train"].file(WEIGHTS_FILE)
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        return network

    @cached_property
    def calibration(self) -> NDArray[np.float32]:
        """Images of the training split, float32 [n, 3, H, W]."""
        context = self.context
        return calibration_images(
            context.train, img_size=self.img_size, count=CALIBRATION_IMAGES, seed=context.seed
        )

    def val_images(self, count: int) -> NDArray[np.float32]:
        """Images of the validation split, float32 [n, 3, H, W]."""
        return calibration_images(
            self.context.val, img_size=self.img_size, count=count, seed=self.context.seed
        )

    @property
    def fp32_file(self) -> Path:
        """The float ONNX file."""
        return self.entries["export"].file(FP32_FILE)

    def named(self, name: str) -> str:
        """The name of an output, with the runtime's suffix."""
        return name.format(suffix=self.context.runtime.suffix)

    @property
    def shipped_file(self) -> Path:
        """The file that ships and is measured: the int8 one where there is one."""
        return self._shipped[0].file(self._shipped[1])

    @property
    def shipped_digest(self) -> str:
        """SHA-256 of the file that ships."""
        return self._shipped[0].digests[self._shipped[1]]

    @property
    def _shipped(self) -> tuple[Entry, str]:
        """The step that made it, and its name there."""
        for step in ("repair", "quantize"):
            if step in self.entries:
                return self.entries[step], self.named(INT8_FILE)
        return self.entries["export"], FP32_FILE

    @property
    def latency(self) -> Latency | None:
        """As the step `measure` found it; None before."""
        values = self.entries["measure"].values if "measure" in self.entries else {}
        return Latency(**values["latency"]) if values else None

    @property
    def history(self) -> Sequence[Mapping[str, float]]:
        """Of the training, a mapping per epoch."""
        return self.entries["train"].values["history"] if "train" in self.entries else ()

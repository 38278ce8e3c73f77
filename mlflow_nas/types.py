"""The values that flow through the package: an architecture goes in, a trial's result comes out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from mlflow_nas.objectives import Direction, Limit, Objective

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FLOAT_NCHW",
    "INT8_NHWC_RGB",
    "UINT8_NHWC_RGBX",
    "Architecture",
    "Board",
    "Choice",
    "Device",
    "Direction",
    "InputContract",
    "Latency",
    "Limit",
    "Objective",
    "Role",
    "TrialResult",
    "TrialState",
]

Choice: TypeAlias = int | float | str
Architecture: TypeAlias = Mapping[str, Choice]
TrialState: TypeAlias = Literal["complete", "infeasible", "failed", "pruned"]
Role: TypeAlias = Literal["study", "trial", "baseline", "reference", "seed", "repeat", "finalist"]
InputContract: TypeAlias = Literal["float-nchw", "uint8-nhwc-rgbx", "int8-nhwc-rgb"]

FLOAT_NCHW: Final = "float-nchw"
"""A file takes float32 [1, 3, H, W] in 0..1, RGB."""

UINT8_NHWC_RGBX: Final = "uint8-nhwc-rgbx"
"""A file takes uint8 [1, H, W, 4]: RGB and a byte that is ignored."""

INT8_NHWC_RGB: Final = "int8-nhwc-rgb"
"""A file takes int8 [1, H, W, 3], RGB: each byte less 128."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the inventory: how it is reached, how a model runs on it, what is expected of it.

    Attributes:
        name: its name in the inventory.
        transport: "local" is this machine, "ssh" another one, "fake" needs no hardware; "none": there is no
            device, its latency is an estimate.
        directory: the folder of mlflow_nas on the device; relative to the user's home there.
        host: of ssh: a host name or a name from ~/.ssh/config; None for the other transports.
        user, port, key_file: of ssh; None for what ~/.ssh/config says.
        python: the command that starts the device's Python; empty for a local device: this interpreter.
        threads: of one inference.
        cpu_affinity: the cores that inferences may use; empty for all.
        providers: ONNX Runtime's execution providers in their order, each with its options.
        environment: variables of the device's Python.
        latency_limit_ms: a model must not be slower to be deployed; None for no limit.
        max_model_bytes: a model file must not be larger; None for no limit.
        activate: the command that makes the application use a fresh model; empty for none.
        health: the command that succeeds when the application is healthy; empty for none.
        signing_key: the SSH key on this machine that signs the manifests; None for unsigned ones.
        groups: names under which several devices are addressed at once.
        emulated: the device emulates another processor: its times are no latencies.
        runtime: name of the runtime that compiles and runs the models.
        accelerator: that the runtime `vela` compiles for; "" for the runtime's own choice.
        delegate: of LiteRT: path of the library on the device that computes what it can, and its options.
    """

    name: str
    transport: Literal["local", "ssh", "fake", "none"]
    directory: str
    host: str | None = None
    user: str | None = None
    port: int | None = None
    key_file: Path | None = None
    python: tuple[str, ...] = ()
    threads: int = 1
    cpu_affinity: tuple[int, ...] = ()
    providers: tuple[tuple[str, Mapping[str, str]], ...] = (("CPUExecutionProvider", {}),)
    environment: Mapping[str, str] = field(default_factory=dict)
    latency_limit_ms: float | None = None
    max_model_bytes: int | None = None
    activate: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    signing_key: Path | None = None
    groups: tuple[str, ...] = ()
    emulated: bool = False
    runtime: str = "onnxruntime"
    accelerator: str = ""
    delegate: tuple[str, Mapping[str, str]] | None = None

    @property
    def library(self) -> Literal["onnxruntime", "litert"]:
        """The library on the device that runs its models."""
        return "litert" if self.delegate or self.runtime in ("litert", "vela") else "onnxruntime"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One measurement of a model file on a board, taken in turn with the reference model's file.

    Attributes:
        p50_ms: median wall-clock time of one inference, milliseconds; p90_ms, p99_ms, min_ms, mean_ms alike.
        cv: coefficient of variation of the single times (standard deviation / mean).
        runs: number of timed inferences; board: its name in the device inventory.
        spread: coefficient of variation of the ratio (of the median without a reference) between the loads
            of the model, from their median absolute deviation: how well the measurement repeats.
        attempts: number of measurements until the spread was small enough.
        unstable: the spread stayed too large, too few runs kept the processor, or the board throttled: the
            numbers are not to be trusted.
        unstable_cause: which of the three, as a phrase with its figure; "" when stable.
        reference_p50_ms: median of the reference model measured in turn; None without a reference.
        ratio: to the reference model, of the medians of processor time, so that other processes add nothing
            to it (of wall-clock time where an accelerator computes); median over the loads; None without a
            reference.
        power_w: mean power while the model ran; energy_mj: of one inference; None without a sensor.
        load_ms: loading the file, milliseconds; first_run_ms: the inference after it; None if not measured.
        pipeline_ms: from an image file to the answer, milliseconds; None where the file takes no images.
        peak_memory_bytes: RAM that loading and the first inference add; None where the system does not tell.
        emulated: the board emulates another processor: this is no latency.
        facts: the board's hardware, governor, threads and versions, for the run's tags.
    """

    p50_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    mean_ms: float
    cv: float
    runs: int
    board: str
    spread: float = 0.0
    attempts: int = 1
    unstable: bool = False
    unstable_cause: str = ""
    reference_p50_ms: float | None = None
    ratio: float | None = None
    power_w: float | None = None
    energy_mj: float | None = None
    load_ms: float | None = None
    first_run_ms: float | None = None
    pipeline_ms: float | None = None
    peak_memory_bytes: float | None = None
    emulated: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    def metrics(self, *, reference_ms: float | None = None, given_ratio: float = 1.0) -> dict[str, float]:
        """The measurement under the names that every run and model version uses.

        `latency_ms` is the ratio times the study's reference latency: it does not drift with the machine's
        speed. Times of an emulated board stand under `emulated_latency_raw_ms` and the like.

        Args:
            reference_ms: the study's reference latency, milliseconds; None leaves `latency_ms` out.
            given_ratio: of the detector as it was given, to the reference model: `speedup` is relative to it.
        """
        scaled = None if self.ratio is None or reference_ms is None else self.ratio * reference_ms
        named = {
            "latency_ms": scaled,
            "latency_ratio": self.ratio,
            "speedup": None if self.ratio is None else given_ratio / self.ratio,
            "latency_raw_ms": self.p50_ms,
            "latency_raw_ms_p90": self.p90_ms,
            "latency_raw_ms_p99": self.p99_ms,
            "latency_raw_ms_min": self.min_ms,
            "latency_raw_ms_mean": self.mean_ms,
            "latency_cv": self.cv,
            "latency_spread": self.spread,
            "latency_runs": float(self.runs),
            "latency_attempts": float(self.attempts),
            "reference_latency_raw_ms": self.reference_p50_ms,
            "power_w": self.power_w,
            "energy_mj": self.energy_mj,
            "load_ms": self.load_ms,
            "first_run_ms": self.first_run_ms,
            "pipeline_ms": self.pipeline_ms,
            "peak_memory_bytes": self.peak_memory_bytes,
        }
        prefix = "emulated_" if self.emulated else ""
        return {f"{prefix}{name}": value for name, value in named.items() if value is not None}


class Board(Protocol):
    """Runs an ONNX file and measures its latency."""

    @property
    def name(self) -> str:
        """Name in the device inventory."""

    @property
    def protocol(self) -> str:
        """Digest of threads, providers, session options and affinity: equal where latencies compare."""

    def facts(self) -> Mapping[str, str]:
        """What the board is: machine, cores, governor, memory, versions.

        Raises:
            BoardError: the board can't be reached.
        """

    def identity(self) -> Mapping[str, Any]:
        """All that a measurement depends on besides the files, as plain JSON values.

        Raises:
            BoardError: the board can't be reached.
        """

    def close(self) -> None:
        """Close the connection; a later call opens it again."""

    def measure(self, model: Path, *, reference: Path | None = None) -> Latency:
        """Time the model on the board, in turn with the reference model when one is given.

        Raises:
            BoardError: the board can't be reached, or died midway.
            CandidateError: the board works but refuses this model.
        """

    def infer(self, model: Path, images: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Run the model on the board on images [n, 3, H, W], one by one; its outputs [n, ...].

        Raises:
            BoardError: the board can't be reached, or died midway.
            CandidateError: the board works but refuses this model.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """The result of one architecture's trial.

    Attributes:
        key: the architecture's stable key; it has no weights in it.
        architecture: the choices.
        state: complete, infeasible (a limit is violated), failed, or pruned.
        role: why the architecture was evaluated; "baseline" is the trial of the space's baseline,
            "reference" the detector as it was given, "finalist" a training to the end.
        number: the trial's number in the study; None outside of one.
        metrics: name to value; a failed measurement is absent.
        constraints: limit to its violation, feasible when <= 0.
        history: one mapping of metrics per trained epoch, measured on the validation images as they are.
        seconds: wall-clock seconds of each step, of earlier calls where its output was cached.
        facts: the board's facts while it measured.
        artefacts: role ("int8", "fp32", "weights", "detections") to path on this machine.
        latency_unstable: the latency is not to be trusted.
        error: why it failed, one sentence.
        run_id: the trial's MLflow run, where it is known.
    """

    key: str
    architecture: Architecture
    state: TrialState
    role: Role = "trial"
    number: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    artefacts: Mapping[str, Path] = field(default_factory=dict)
    latency_unstable: bool = False
    error: str | None = None
    run_id: str | None = None

    def as_row(self) -> dict[str, object]:
        """One flat row: trial, key, state, arch.*, metrics, latency_unstable, error."""
        row: dict[str, object] = {"trial": self.number, "key": self.key, "state": self.state}
        row.update({f"arch.{name}": value for name, value in self.architecture.items()})
        return {**row, **self.metrics, "latency_unstable": self.latency_unstable, "error": self.error}

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain = asdict(self)
        plain["artefacts"] = {role: str(path) for role, path in self.artefacts.items()}
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "TrialResult":
        """The result read back from `as_json`."""
        artefacts = {role: Path(path) for role, path in plain.get("artefacts", {}).items()}
        return cls(**{**plain, "history": tuple(plain.get("history", ())), "artefacts": artefacts})

"""The values that flow through the house: an architecture goes in, an evaluation comes out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Architecture", "Board", "Choice", "Device", "Evaluation", "Latency", "TrialState"]

Choice: TypeAlias = int | float | str
Architecture: TypeAlias = Mapping[str, Choice]
TrialState: TypeAlias = Literal["complete", "infeasible", "failed", "pruned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of the inventory: how it is reached, how a model runs on it, what is expected of it.

    Attributes:
        name: its name in the inventory.
        transport: "local" is this machine, "ssh" another one, "fake" needs no hardware.
        directory: where everything of ours stays on the device; relative to the user's home there.
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
        health: the command that succeeds when the application is well; empty for none.
        groups: names under which several devices are addressed at once.
        emulated: another processor is imitated there: its times are no latencies.
    """

    name: str
    transport: Literal["local", "ssh", "fake"]
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
    groups: tuple[str, ...] = ()
    emulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One measurement of a model file on a board, taken in turn with the baseline's file.

    Attributes:
        p50_ms: median time of one inference, milliseconds; p90_ms, p99_ms, min_ms, mean_ms alike.
        cv: coefficient of variation of the single times (standard deviation / mean).
        runs: how many inferences were timed.
        spread: coefficient of variation of the ratio (of the median without a baseline) between the loads of
            the model, from their median absolute deviation: how well the measurement agrees with itself.
        attempts: how often it was measured until the spread was small enough.
        unstable: the spread stayed too large, too few runs kept the processor, or the board throttled: the
            numbers are not to be trusted.
        board: name of the board in the device inventory.
        baseline_p50_ms: median of the baseline network measured in turn; None without a baseline.
        ratio: to the baseline, of the medians of processor time, so that other processes add nothing to it
            (of the wall's where an accelerator computes); median over the loads; None without a baseline.
        power_w: mean power while the model ran; None without a sensor.
        energy_mj: energy of one inference, millijoules; None without a sensor.
        emulated: the board imitates another processor: this is no latency.
        facts: what the board said of itself (SoC, governor, threads, versions), for the run's tags.
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
    baseline_p50_ms: float | None = None
    ratio: float | None = None
    power_w: float | None = None
    energy_mj: float | None = None
    emulated: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)

    def metrics(self) -> dict[str, float]:
        """The measurement under the names that every run and model version uses.

        Times of an emulated board stand under `emulated_latency_ms` and the like: nothing takes them for a
        latency.
        """
        named = {
            "latency_ms": self.p50_ms,
            "latency_ms_p90": self.p90_ms,
            "latency_ms_p99": self.p99_ms,
            "latency_ms_min": self.min_ms,
            "latency_ms_mean": self.mean_ms,
            "latency_cv": self.cv,
            "latency_spread": self.spread,
            "latency_runs": float(self.runs),
            "latency_attempts": float(self.attempts),
            "latency_ratio": self.ratio,
            "baseline_latency_ms": self.baseline_p50_ms,
            "power_w": self.power_w,
            "energy_mj": self.energy_mj,
        }
        prefix = "emulated_" if self.emulated else ""
        return {f"{prefix}{name}": value for name, value in named.items() if value is not None}


class Board(Protocol):
    """Something that runs an ONNX file and says how long it took."""

    @property
    def name(self) -> str:
        """Name in the device inventory."""

    def facts(self) -> Mapping[str, str]:
        """What the board is: machine, cores, governor, memory, versions.

        Raises:
            BoardError: the board can't be reached.
        """

    def measure(self, model: Path, *, baseline: Path | None = None) -> Latency:
        """Time the model on the board, in turn with the baseline when one is given.

        Raises:
            BoardError: the board can't be reached, or died midway.
            CandidateError: the board is well but refuses this model.
        """

    def infer(self, model: Path, images: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Run the model on the board on images [n, 3, H, W], one by one; its outputs [n, ...].

        Raises:
            BoardError: the board can't be reached, or died midway.
            CandidateError: the board is well but refuses this model.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What is known of one candidate after its trial.

    Attributes:
        number: the trial's number in the study; 0 is the baseline.
        key: the architecture's stable key; it has no weights in it.
        architecture: the choices.
        state: complete, infeasible (a limit violated), failed or pruned.
        metrics: name to value, under the names of ARCHITECTURE.md; a failed measurement is absent.
        constraints: name to value, feasible when <= 0.
        history: one mapping of metrics per trained epoch, measured on one view of val.
        facts: what the board said of itself while it measured.
        files: role ("int8", "fp32", "weights") to path on this machine.
        latency_unstable: the latency is not to be trusted; the run says so.
        error: why it failed, one sentence.
        run_id: the trial's MLflow run.
    """

    number: int
    key: str
    architecture: Architecture
    state: TrialState
    metrics: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    history: tuple[Mapping[str, float], ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    latency_unstable: bool = False
    error: str | None = None
    run_id: str | None = None

    def as_row(self) -> dict[str, object]:
        """The evaluation as one flat row: trial, key, state, arch.*, metrics, latency_unstable."""
        row: dict[str, object] = {"trial": self.number, "key": self.key, "state": self.state}
        row.update({f"arch.{name}": value for name, value in self.architecture.items()})
        return {**row, **self.metrics, "latency_unstable": self.latency_unstable}

    def as_json(self) -> dict[str, object]:
        """The evaluation as plain JSON values."""
        plain = asdict(self)
        plain["files"] = {role: str(path) for role, path in self.files.items()}
        return plain

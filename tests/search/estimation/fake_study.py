"""A study without trainings, board and storage: quality and latency follow the architecture's size."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from mlflow_nas.data import DetectionDataset
from mlflow_nas.errors import CandidateError
from mlflow_nas.estimate import SupernetScore, complexity
from mlflow_nas.space import SearchSpace, build_detector
from mlflow_nas.types import Architecture, Limit, Objective, TrialResult

__all__ = ["OBJECTIVES", "FakeContext", "FakeStudy", "size_of"]

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))
REFERENCE_MS = 12.0


def size_of(architecture: Architecture) -> float:
    """Grows with the number of multiply-accumulates of the head."""
    values = {name: float(value) for name, value in architecture.items()}
    return values["channels"] * values["img_width"] ** 2 / 1e6 / values["groups"]


@dataclass
class FakeContext:
    """What the trials share; `screened` lists the keys that were measured untrained."""

    space: SearchSpace
    train: DetectionDataset
    val: DetectionDataset
    limits: tuple[Limit, ...] = ()
    objectives: tuple[Objective, ...] = OBJECTIVES
    epochs: int = 4
    seed: int = 1
    refused: Collection[str] = ()
    screened: list[str] = field(default_factory=list)
    on_screen: Callable[[int], None] = lambda _count: None

    def input_size(self, architecture: Architecture) -> tuple[int, int]:
        """Height and width."""
        return self.space.input_size(architecture)

    def build(self, architecture: Architecture) -> nn.Module:
        """A network with weights."""
        return build_detector(architecture, num_classes=1, space=self.space)

    def screen(self, architecture: Architecture) -> dict[str, float]:
        """Counts and latency."""
        key = self.space.key(architecture)
        if key in self.refused:
            raise CandidateError("the board refuses the model")
        if key not in self.screened:
            self.on_screen(len(self.screened))
            self.screened.append(key)
        return {
            **complexity(self.build(architecture), self.input_size(architecture)),
            **latency(architecture),
        }


def latency(architecture: Architecture) -> dict[str, float]:
    """Latency metrics as a board would give them."""
    latency_ms = 2 + size_of(architecture)
    return {
        "latency_ms": latency_ms,
        "latency_ratio": latency_ms / REFERENCE_MS,
        "speedup": REFERENCE_MS / latency_ms,
        "energy_mj": 3 * latency_ms,
    }


class Steps(list[str]):
    """The steps that were shown."""

    def step(self, name: str) -> None:
        """Remember it."""
        self.append(name)


@dataclass
class FakeSupernet:
    """Knows the quality of every architecture; `scored` and `shipped` list the keys of scores."""

    space: SearchSpace
    quality_of: Callable[[Architecture], float]
    train_s: float = 300.0
    scored: list[str] = field(default_factory=list)
    shipped: list[str] = field(default_factory=list)

    def score(self, architecture: Architecture, *, shipped: bool = False) -> SupernetScore:
        """Its quality, after two seconds; int8 costs a little of it."""
        (self.shipped if shipped else self.scored).append(self.space.key(architecture))
        return SupernetScore(self.quality_of(architecture) - (0.001 if shipped else 0.0), 2.0)

    def ordered(self, architectures: Sequence[Architecture]) -> list[int]:
        """By input width."""
        return sorted(range(len(architectures)), key=lambda index: architectures[index]["img_width"])


@dataclass
class FakeStudy:
    """A study in memory; `trained` lists the keys of its trainings, second ones included."""

    context: FakeContext
    quality_of: Callable[[Architecture], float] = lambda architecture: 0.1 + size_of(architecture) / 10
    failing: Collection[str] = ()
    on_train: Callable[[int], None] = lambda _count: None
    progress: Steps = field(default_factory=Steps)
    seed_s: float = 5.0
    trained: list[str] = field(default_factory=list)
    chosen_by: dict[str, str | None] = field(default_factory=dict)
    trials: list[TrialResult] = field(default_factory=list)
    repeats: dict[str, TrialResult] = field(default_factory=dict)
    storage: dict[str, Any] = field(default_factory=dict)
    supernets: list[FakeSupernet] = field(default_factory=list)

    def screen(self, architecture: Architecture) -> dict[str, float]:
        """Counts and latency of untrained weights."""
        return self.context.screen(architecture)

    def supernet(self) -> FakeSupernet:
        """A supernet that ranks perfectly."""
        self.supernets.append(FakeSupernet(self.context.space, self.quality_of))
        return self.supernets[-1]

    def results(self) -> list[TrialResult]:
        """All trials."""
        return list(self.trials)

    def sampled(self) -> list[TrialResult]:
        """Those that no estimate chose."""
        return [one for one in self.trials if self.chosen_by[one.key] is None]

    def drawn(self) -> list[TrialResult]:
        """Without the reference."""
        return [one for one in self.sampled() if one.role != "baseline"]

    def train(
        self, wanted: Sequence[Architecture], *, count: int, chosen_by: str | None = None
    ) -> list[TrialResult]:
        """The baseline, then the list."""
        space = self.context.space
        self._run(space.baseline, None)
        members = [space.key(architecture) for architecture in wanted]
        for architecture in wanted:
            paid = [one for one in self.trials if one.key in members and _is_paid(one)]
            if len(paid) >= count:
                break
            self._run(architecture, chosen_by)
        return self.results()

    def _run(self, architecture: Architecture, chosen_by: str | None) -> None:
        key = self.context.space.key(architecture)
        if key not in self.chosen_by:
            result = self.result_of(architecture, number=len(self.trials))
            self.trials.append(result)
            self.chosen_by[key] = chosen_by

    def result_of(self, architecture: Architecture, *, number: int, offset: float = 0.0) -> TrialResult:
        """What a trial of the architecture gives."""
        space, key = self.context.space, self.context.space.key(architecture)
        role = "baseline" if architecture == space.baseline else "trial"
        common: dict[str, Any] = {
            "key": key,
            "architecture": dict(architecture),
            "role": role,
            "number": number,
        }
        timed: Mapping[str, float] = latency(architecture)
        counts = complexity(self.context.build(architecture), self.context.input_size(architecture))
        if any(
            limit.violation(timed[limit.metric]) > 0 for limit in self.context.limits if limit.metric in timed
        ):
            metrics = {**counts, **timed}
            return TrialResult(**common, state="infeasible", metrics=metrics, seconds={"screen": 1.0})
        self.on_train(len(self.trained))
        self.trained.append(key)
        if key in self.failing:
            return TrialResult(**common, state="failed", error="broken", seconds={"train": 10.0})
        quality = self.quality_of(architecture) + offset
        name = self.context.objectives[0].name
        epoch = {"train_loss": 1 - quality, f"{name}_fp32": quality}
        return TrialResult(
            **common,
            state="complete",
            metrics={**counts, **timed, name: quality, "train_s": 10.0},
            history=(epoch,) * self.context.epochs,
            seconds={"train": 10.0, "measure": 2.0},
        )

    def repeat(self, result: TrialResult) -> TrialResult:
        """A slightly better second training."""
        if result.key not in self.repeats:
            again = self.result_of(result.architecture, number=result.number or 0, offset=0.001)
            self.repeats[result.key] = again
        return self.repeats[result.key]

    def get(self, key: str) -> Any | None:
        """A value."""
        return self.storage.get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self.storage[key] = value


def _is_paid(result: TrialResult) -> bool:
    return result.state in ("complete", "failed")

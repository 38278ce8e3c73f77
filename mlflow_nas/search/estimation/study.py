"""The parts of a study that estimation uses; `Search` and `StudyContext` have them."""

from collections.abc import Sequence
from typing import Any, Protocol

from mlflow_nas.data import DetectionDataset
from mlflow_nas.estimate import SupernetScore
from mlflow_nas.space import SearchSpace
from mlflow_nas.types import Architecture, Limit, Objective, TrialResult

__all__ = ["Context", "OnStep", "Study", "Supernet", "quality", "total_seconds"]


class Context(Protocol):
    """What all trials of a study share."""

    @property
    def space(self) -> SearchSpace:
        """Where candidates come from."""

    @property
    def train(self) -> DetectionDataset:
        """The training split."""

    @property
    def val(self) -> DetectionDataset:
        """The validation split."""

    @property
    def epochs(self) -> int:
        """Epochs of one training."""

    @property
    def seed(self) -> int:
        """Of weights, data and draws."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Bounds on metrics."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The first is the quality that strategies estimate."""

    def input_size(self, architecture: Architecture) -> tuple[int, int]:
        """Height and width in pixels."""


class OnStep(Protocol):
    """Shows what a search does."""

    def step(self, name: str) -> None:
        """Called as a step begins."""


class Supernet(Protocol):
    """The trained supernet of a study's space."""

    @property
    def train_s(self) -> float:
        """Seconds that its training took."""

    def score(self, architecture: Architecture, *, shipped: bool = False) -> SupernetScore:
        """The first objective of an architecture with the shared weights, in float or as it ships."""

    def ordered(self, architectures: Sequence[Architecture]) -> list[int]:
        """The order in which they are scored fastest."""


class Study(Protocol):
    """A study whose trials can be read and continued."""

    @property
    def context(self) -> Context:
        """What all trials share."""

    @property
    def progress(self) -> OnStep:
        """Shows what the search does."""

    @property
    def seed_s(self) -> float:
        """Seconds of the seed network's training."""

    def screen(self, architecture: Architecture) -> dict[str, float]:
        """Counts and latency metrics of the untrained int8 file on the board, remembered on disk.

        Raises:
            CandidateError: the network can't be built, exported or run; BoardError: the board failed.
        """

    def supernet(self) -> Supernet:
        """The space's supernet, trained where the step cache has none.

        Raises:
            ConfigError: the weights don't fit the space; MachineError: this machine failed.
        """

    def results(self) -> list[TrialResult]:
        """Finished trials in the order of their numbers."""

    def sampled(self) -> list[TrialResult]:
        """Finished trials that no estimate chose."""

    def drawn(self) -> list[TrialResult]:
        """Finished trials that were drawn at random: a fair sample of the space."""

    def train(
        self, wanted: Sequence[Architecture], *, count: int, chosen_by: str | None = None
    ) -> list[TrialResult]:
        """Evaluate the baseline, then the first `count` of a list; all finished trials."""

    def repeat(self, result: TrialResult) -> TrialResult:
        """The second training of a trial with another seed, once per study."""

    def get(self, key: str) -> Any | None:
        """A value of the study; None when it was never set."""

    def set(self, key: str, value: Any) -> None:
        """Keep a plain JSON value for the whole study."""


def quality(result: TrialResult, objective: Objective) -> float | None:
    """The objective of a trial, higher is better; None when it was not measured."""
    value = result.metrics.get(objective.name)
    return value if value is None or objective.maximize else -value


def total_seconds(result: TrialResult) -> float:
    """Seconds of all steps of a trial."""
    return sum(result.seconds.values())

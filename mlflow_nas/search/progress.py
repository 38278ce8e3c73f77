"""The display of a search, as a protocol."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from mlflow_nas.search.store import Claim
from mlflow_nas.types import Objective, TrialResult

__all__ = ["NoProgress", "Progress"]


class Progress(Protocol):
    """A display of a search; also a worker's callback."""

    def study(
        self, *, trials: int, epochs: int, objectives: Sequence[Objective], known: Sequence[TrialResult]
    ) -> None:
        """The trials begin.

        Args:
            trials: total number of the study.
            epochs: of each training.
            objectives: of the study.
            known: results of the trials that have finished before this call.
        """

    def stage(self, name: str, *, epochs: int = 0) -> None:
        """Work outside of trials begins, such as the seed network's training.

        Args:
            name: what is shown.
            epochs: of its training; 0 where there is none.
        """

    def trial_started(self, claim: Claim) -> None:
        """A worker evaluates a trial."""

    def step(self, claim: Claim | None, name: str) -> None:
        """A step begins, of a trial or of the current stage."""

    def epoch(self, claim: Claim | None, number: int, metrics: Mapping[str, float]) -> None:
        """An epoch has ended, of a trial or of the current stage."""

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:
        """A trial has a result."""

    def trial_interrupted(self, claim: Claim) -> None:
        """A trial waits for a worker again."""

    def close(self) -> None:
        """The search has ended or failed."""


class NoProgress:
    """Shows nothing."""

    def study(
        self, *, trials: int, epochs: int, objectives: Sequence[Objective], known: Sequence[TrialResult]
    ) -> None:
        """Nothing."""

    def stage(self, name: str, *, epochs: int = 0) -> None:
        """Nothing."""

    def trial_started(self, claim: Claim) -> None:
        """Nothing."""

    def step(self, claim: Claim | None, name: str) -> None:
        """Nothing."""

    def epoch(self, claim: Claim | None, number: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:
        """Nothing."""

    def trial_interrupted(self, claim: Claim) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""

"""What a search says while it runs."""

from typing import Protocol

from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told what happens; the command line draws a bar from it."""

    def study(self, *, trials: int, done: int, epochs: int, seed_epochs: int) -> None:
        """The study begins or goes on, with so many trials already done.

        Args:
            trials: at which the study stops.
            done: of them.
            epochs: of each trial.
            seed_epochs: of the seed network that is trained now, before the first trial.
        """

    def trial(self, number: int, architecture: Architecture) -> None:
        """A trial begins."""

    def step(self, name: str) -> None:
        """A step of the trial, or the seed network's training, begins; "epoch" when an epoch has ended."""

    def result(self, evaluation: Evaluation) -> None:
        """A trial has ended."""


class Silent:
    """Says nothing."""

    def study(self, *, trials: int, done: int, epochs: int, seed_epochs: int) -> None:
        """Nothing."""

    def trial(self, number: int, architecture: Architecture) -> None:
        """Nothing."""

    def step(self, name: str) -> None:
        """Nothing."""

    def result(self, evaluation: Evaluation) -> None:
        """Nothing."""

"""What a search says while it runs."""

from typing import Protocol

from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Told what happens; the command line draws a bar from it."""

    def study(self, *, trials: int, done: int, epochs: int) -> None:
        """The study begins or goes on, with so many trials already done."""

    def trial(self, number: int, architecture: Architecture) -> None:
        """A trial begins."""

    def step(self, name: str) -> None:
        """A step of the trial begins; "epoch" when an epoch has ended."""

    def result(self, evaluation: Evaluation) -> None:
        """A trial has ended."""


class Silent:
    """Says nothing."""

    def study(self, *, trials: int, done: int, epochs: int) -> None:
        """Nothing."""

    def trial(self, number: int, architecture: Architecture) -> None:
        """Nothing."""

    def step(self, name: str) -> None:
        """Nothing."""

    def result(self, evaluation: Evaluation) -> None:
        """Nothing."""

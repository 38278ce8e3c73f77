"""Events of a running trial."""

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Listener", "Silent"]


class Listener(Protocol):
    """Receives the events of a trial."""

    def step(self, name: str) -> None:
        """A step begins."""

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """An epoch of the training has ended, counted from 1."""


class Silent:
    """Ignores the events."""

    def step(self, name: str) -> None:
        """Nothing."""

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Nothing."""

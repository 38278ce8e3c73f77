"""The search's progress bar."""

import sys
from typing import Any

from tqdm import tqdm

from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Bar"]

STEPS_BESIDE_EPOCHS = 3
"""Export, accuracy and latency together take about as long as so many epochs of a small training."""


class Bar:
    """Elapsed and remaining time over all epochs of all trials."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._units = 0
        self._done = 0

    def study(self, *, trials: int, done: int, epochs: int) -> None:
        """Open the bar; trials of earlier calls count as done and don't enter the forecast."""
        self._units = epochs + STEPS_BESIDE_EPOCHS
        self._done = 0
        self._bar = tqdm(
            total=max(trials - done, 0) * self._units,
            file=sys.stderr,
            bar_format="{l_bar}{bar}| {elapsed} elapsed, {remaining} remaining{postfix}",
            mininterval=0.5 if sys.stderr.isatty() else 10,
        )

    def trial(self, number: int, architecture: Architecture) -> None:  # noqa: ARG002 - Progress's signature
        """Name the trial."""
        if self._bar is not None:
            self._bar.set_description(f"trial {number}", refresh=False)

    def step(self, name: str) -> None:
        """Move by one epoch, or name the step."""
        if self._bar is None:
            return
        if name == "epoch":
            self._bar.update(1)
        else:
            self._bar.set_postfix_str(name, refresh=False)

    def result(self, evaluation: Evaluation) -> None:  # noqa: ARG002 - Progress's signature
        """Move to the end of the trial, however it ended."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._done * self._units - self._bar.n)
            if self._bar.n >= (self._bar.total or 0):
                self._bar.close()

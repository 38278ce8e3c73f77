"""The search's progress bar."""

import sys
import time
from typing import Any

from tqdm import tqdm

from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Bar"]

REST_IN_EPOCHS = 3
"""Until the first trial has ended, export, accuracy and latency are taken for so many epochs."""


class _Pace:
    """The mean time of what happens again and again."""

    def __init__(self) -> None:
        self.total_s, self.count = 0.0, 0

    def add(self, seconds: float) -> None:
        self.total_s += seconds
        self.count += 1

    def mean_s(self, otherwise: float) -> float:
        return self.total_s / self.count if self.count else otherwise


class Bar:
    """Share of the time, elapsed and remaining, forecast from the epochs and trials that were seen."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None
        self._epoch, self._rest = _Pace(), _Pace()
        self._epochs_of_a_trial = self._epochs_left = self._trials_left = 0
        self._where = "start"
        self._step_began = self._trial_began = self._epochs_s = 0.0

    def study(self, *, trials: int, done: int, epochs: int, seed_epochs: int) -> None:
        """Open the bar; trials of earlier calls are neither shown nor forecast."""
        self._epochs_of_a_trial = epochs
        self._trials_left = trials - done
        self._epochs_left = seed_epochs + self._trials_left * epochs
        self._step_began = time.monotonic()
        self._bar = tqdm(
            total=1.0,
            file=sys.stderr,
            bar_format="{l_bar}{bar}| {elapsed} elapsed{postfix}",
            desc="start",
            mininterval=0.5 if sys.stderr.isatty() else 10,
        )

    def trial(self, number: int, architecture: Architecture) -> None:  # noqa: ARG002 - Progress's signature
        """Name the trial."""
        self._where = f"trial {number}"
        self._trial_began = self._step_began = time.monotonic()
        self._epochs_s = 0.0

    def step(self, name: str) -> None:
        """Move by one epoch, or name the step."""
        now = time.monotonic()
        if name == "epoch":
            self._epoch.add(now - self._step_began)
            self._epochs_s += now - self._step_began
            self._epochs_left -= 1
            self._show()
        elif self._bar is not None:
            self._bar.set_description(name if name == "seed" else f"{self._where}, {name}", refresh=False)
        self._step_began = now

    def result(self, evaluation: Evaluation) -> None:  # noqa: ARG002 - Progress's signature
        """Move to the end of the trial, however it ended."""
        self._trials_left -= 1
        self._epochs_left = self._trials_left * self._epochs_of_a_trial
        self._rest.add(time.monotonic() - self._trial_began - self._epochs_s)
        if self._trials_left:
            self._show()
        elif self._bar is not None:
            self._bar.n = 1.0
            self._bar.set_description("trials", refresh=False)
            self._bar.set_postfix_str("", refresh=False)
            self._bar.close()

    def _show(self) -> None:
        if self._bar is None:
            return
        epoch_s = self._epoch.mean_s(otherwise=0.0)
        rest_s = self._rest.mean_s(otherwise=REST_IN_EPOCHS * epoch_s)
        remaining_s = self._epochs_left * epoch_s + self._trials_left * rest_s
        elapsed_s = self._bar.format_dict["elapsed"]
        self._bar.set_postfix_str(f"{tqdm.format_interval(remaining_s)} remaining", refresh=False)
        self._bar.update(elapsed_s / (elapsed_s + remaining_s) - self._bar.n)

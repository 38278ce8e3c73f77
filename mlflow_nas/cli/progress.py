"""Progress on standard error: a bar for a search, a line per step for one training."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import click
from tqdm import tqdm

from mlflow_nas.types import TrialResult

__all__ = ["Bar", "Steps"]

REST_IN_EPOCHS = 3
"""Until a trial has ended, its export, evaluation and latency are forecast to take this many epochs."""


class NumberedTrial(Protocol):
    """The part of a claimed trial that the bar reads."""

    @property
    def number(self) -> int:
        """Of the trial in its study."""


class Steps:
    """Prints the name of each step of a training."""

    def step(self, name: str) -> None:
        """A step begins."""
        click.echo(name, err=True)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Nothing is printed of an epoch."""


@dataclass(slots=True)
class _Mean:
    total_s: float = 0.0
    count: int = 0

    def add(self, seconds: float) -> None:
        self.total_s += seconds
        self.count += 1

    def value_s(self, otherwise: float) -> float:
        return self.total_s / self.count if self.count else otherwise


@dataclass(slots=True)
class _RunningTrial:
    """A trial that a worker evaluates now."""

    begun_s: float
    since_s: float
    step: str = "start"
    epochs: int = 0
    epochs_s: float = 0.0


@dataclass(slots=True)
class Bar:
    """One bar for all workers: share of the time, elapsed and remaining, forecast from what was measured."""

    _bar: "tqdm[Any] | None" = None
    _epoch: _Mean = field(default_factory=_Mean)
    _rest: _Mean = field(default_factory=_Mean)
    _stage: _RunningTrial = field(default_factory=lambda: _RunningTrial(time.monotonic(), time.monotonic()))
    _running: dict[int, _RunningTrial] = field(default_factory=dict)
    _epochs_of_a_trial: int = 0
    _trials_left: int = 0

    def study(self, *, trials: int, finished: int, epochs: int) -> None:
        """The trials begin; finished ones are neither shown nor forecast."""
        self._epochs_of_a_trial, self._trials_left = epochs, max(trials - finished, 0)
        self._open()

    def stage(self, name: str) -> None:
        """Work outside of trials begins."""
        self._stage = _RunningTrial(time.monotonic(), time.monotonic(), step=name)
        self._open()
        self._describe()

    def trial_started(self, claim: NumberedTrial) -> None:
        """A worker evaluates a trial."""
        self._running[claim.number] = _RunningTrial(time.monotonic(), time.monotonic())
        self._describe()

    def step(self, claim: NumberedTrial | None, name: str) -> None:
        """A step begins, of a trial or of the current stage."""
        where = self._of(claim)
        where.step, where.since_s = name, time.monotonic()
        self._describe()

    def epoch(self, claim: NumberedTrial | None, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """An epoch has ended."""
        where, now = self._of(claim), time.monotonic()
        self._epoch.add(now - where.since_s)
        where.epochs += 1
        where.epochs_s += now - where.since_s
        where.since_s = now
        self._forecast()

    def trial_finished(self, claim: NumberedTrial, result: TrialResult) -> None:  # noqa: ARG002
        """A trial has a result, of whatever state."""
        done = self._running.pop(claim.number, None)
        self._trials_left = max(self._trials_left - 1, 0)
        if done is not None:
            self._rest.add(time.monotonic() - done.begun_s - done.epochs_s)
        self._forecast()

    def trial_interrupted(self, claim: NumberedTrial) -> None:
        """A trial waits for a worker again."""
        self._running.pop(claim.number, None)
        self._describe()

    def close(self) -> None:
        """The search has ended: the bar stays as it is, full when no trial is left."""
        if self._bar is None:
            return
        if not self._trials_left:
            self._bar.n = 1.0
        self._bar.set_description("trials", refresh=False)
        self._bar.set_postfix_str("", refresh=False)
        self._bar.close()
        self._bar = None

    def _of(self, claim: NumberedTrial | None) -> _RunningTrial:
        return self._stage if claim is None else self._running.get(claim.number, self._stage)

    def _open(self) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=1.0,
                file=sys.stderr,
                bar_format="{l_bar}{bar}| {elapsed} elapsed{postfix}",
                desc="start",
                mininterval=0.5 if sys.stderr.isatty() else 10,
                miniters=0,
            )

    def _describe(self) -> None:
        """The trial and its step, or all trials that run."""
        if self._bar is None:
            return
        numbers = ", ".join(map(str, sorted(self._running)))
        if len(self._running) == 1:
            text = f"trial {numbers}, {next(iter(self._running.values())).step}"
        else:
            text = f"trials {numbers}" if self._running else self._stage.step
        self._bar.set_description(text, refresh=False)

    def _forecast(self) -> None:
        """Epochs and the rest of the trials that are left, shared among the workers that are busy."""
        self._describe()
        if self._bar is None or not self._trials_left:
            return
        epoch_s = self._epoch.value_s(otherwise=0.0)
        rest_s = self._rest.value_s(otherwise=REST_IN_EPOCHS * epoch_s)
        begun = sum(min(one.epochs, self._epochs_of_a_trial) for one in self._running.values())
        epochs_left = self._trials_left * self._epochs_of_a_trial - begun
        work_s = max(epochs_left, 0) * epoch_s + self._trials_left * rest_s
        remaining_s = work_s / max(len(self._running), 1)
        elapsed_s = self._bar.format_dict["elapsed"]
        self._bar.set_postfix_str(f"{tqdm.format_interval(remaining_s)} remaining", refresh=False)
        self._bar.update(elapsed_s / max(elapsed_s + remaining_s, 1e-9) - self._bar.n)

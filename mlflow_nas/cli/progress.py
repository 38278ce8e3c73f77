"""Progress on standard error: live lines on a terminal, a line per trial elsewhere; lines of one task."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import click

from mlflow_nas.cli.forecast import TimeLeft, format_seconds
from mlflow_nas.cli.live import LiveLines
from mlflow_nas.report import front_of
from mlflow_nas.types import Objective, TrialResult

__all__ = ["Bar", "Steps"]

_BAR_CHARACTERS = 24
_MOST_WORKERS = 8


class NumberedTrial(Protocol):
    """The part of a claimed trial that the display reads."""

    @property
    def number(self) -> int:
        """Of the trial in its study."""


class Steps:
    """Prints the name of each step of one task."""

    def step(self, name: str) -> None:
        """A step begins."""
        click.echo(name, err=True)

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Nothing is printed of an epoch."""


@dataclass(slots=True)
class _Work:
    """A trial that a worker evaluates now, or a stage outside of trials."""

    name: str
    begun_s: float
    since_s: float
    step: str = ""
    epochs: int = 0
    epochs_s: float = 0.0

    def text(self, now_s: float) -> str:
        """Its name, step, epochs and seconds."""
        step = f", {self.step}" if self.step and self.step != self.name else ""
        epochs = f", {self.epochs} epochs" if self.epochs else ""
        return f"{self.name}{step}{epochs}, {format_seconds(now_s - self.begun_s)}"


@dataclass(slots=True)
class Bar:
    """What a search does now, for all workers: stage, trials, best so far, elapsed and remaining time."""

    _live: LiveLines | None = None
    _opened_s: float = field(default_factory=time.monotonic)
    _stage: _Work | None = None
    _running: dict[int, _Work] = field(default_factory=dict)
    _time: TimeLeft = field(default_factory=TimeLeft)
    _objectives: tuple[Objective, ...] = ()
    _results: list[TrialResult] = field(default_factory=list)
    _epochs_of_a_trial: int = 0
    _trials: int = 0

    def study(
        self, *, trials: int, epochs: int, objectives: Sequence[Objective], known: Sequence[TrialResult]
    ) -> None:
        """The trials begin; finished ones are not forecast."""
        self._epochs_of_a_trial, self._trials = epochs, trials
        self._objectives, self._results = tuple(objectives), list(known)
        self._stage = None
        self._open()

    def stage(self, name: str) -> None:
        """Work outside of trials begins."""
        now_s = time.monotonic()
        self._stage = _Work(name, now_s, now_s)
        self._say(name)
        self._open()

    def trial_started(self, claim: NumberedTrial) -> None:
        """A worker evaluates a trial."""
        now_s = time.monotonic()
        self._running[claim.number] = _Work(f"trial {claim.number}", now_s, now_s)
        self._draw()

    def step(self, claim: NumberedTrial | None, name: str) -> None:
        """A step begins, of a trial or of the current stage."""
        if (work := self._of(claim)) is not None:
            work.step, work.since_s = name, time.monotonic()
        self._draw()

    def epoch(self, claim: NumberedTrial | None, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """An epoch has ended."""
        if (work := self._of(claim)) is not None:
            now_s = time.monotonic()
            if claim is not None:
                self._time.epochs_s.append(now_s - work.since_s)
            work.epochs_s += now_s - work.since_s
            work.epochs, work.since_s = work.epochs + 1, now_s
        self._draw()

    def trial_finished(self, claim: NumberedTrial, result: TrialResult) -> None:
        """A trial has a result, of whatever state."""
        work = self._running.pop(claim.number, None)
        self._results.append(result)
        if work is not None:
            self._time.rests_s.append(time.monotonic() - work.begun_s - work.epochs_s)
        values = [
            f"{one.name} {result.metrics[one.name]:.3f}"
            for one in self._objectives
            if one.name in result.metrics
        ]
        self._say(f"{self._count()}: {', '.join([f'trial {claim.number} {result.state}', *values])}")
        self._draw()

    def trial_interrupted(self, claim: NumberedTrial) -> None:
        """A trial waits for a worker again."""
        self._running.pop(claim.number, None)
        self._draw()

    def close(self) -> None:
        """The command ends: one line stays."""
        if self._live is not None:
            self._live.close(f"{self._count()} in {format_seconds(time.monotonic() - self._opened_s)}")
            self._live = None

    def lines(self) -> list[str]:
        """What a terminal shows now."""
        now_s = time.monotonic()
        works = [self._running[number] for number in sorted(self._running)] or (
            [self._stage] if self._stage else []
        )
        left = self._left()
        ends = "" if left is None else f", {_interval(*left)} left"
        parts = [f"{self._count()}  {format_seconds(now_s - self._opened_s)} elapsed{ends}", *self._best()]
        shown = [f"  {work.text(now_s)}" for work in works[:_MOST_WORKERS]]
        more = [f"  and {len(works) - _MOST_WORKERS} workers more"] if len(works) > _MOST_WORKERS else []
        return ["  ".join(parts), *shown, *more]

    def _count(self) -> str:
        """Finished trials, as a bar and in numbers."""
        if not self._trials:
            return "preparing"
        done = min(len(self._results), self._trials)
        filled = round(_BAR_CHARACTERS * done / self._trials)
        return f"[{'#' * filled}{'.' * (_BAR_CHARACTERS - filled)}] {done} of {self._trials} trials"

    def _best(self) -> list[str]:
        """The best of the first objective, and the size of the front."""
        front = front_of(self._results, self._objectives) if self._objectives else []
        if not front:
            return []
        first = self._objectives[0]
        best = (max if first.maximize else min)(one.metrics[first.name] for one in front)
        return [f"best {first.name} {best:.3f}", f"front {len(front)}"]

    def _left(self) -> tuple[float, float] | None:
        """Seconds until the trials have ended."""
        trials = self._trials - len(self._results)
        if trials <= 0:
            return None
        begun = sum(min(one.epochs, self._epochs_of_a_trial) for one in self._running.values())
        epochs = max(trials * self._epochs_of_a_trial - begun, 0)
        return self._time.of(epochs=epochs, trials=trials, workers=len(self._running))

    def _of(self, claim: NumberedTrial | None) -> _Work | None:
        return self._stage if claim is None else self._running.get(claim.number, self._stage)

    def _open(self) -> None:
        if self._live is None and sys.stderr.isatty():
            self._live = LiveLines(sys.stderr, self.lines)
            self._live.start()
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            self._live.draw()

    def _say(self, line: str) -> None:
        """A line of a log; a terminal shows the same in its live lines."""
        if self._live is None and not sys.stderr.isatty():
            click.echo(line, err=True)


def _interval(low_s: float, high_s: float) -> str:
    """One number where both are about the same."""
    low, high = format_seconds(low_s), format_seconds(high_s)
    return f"about {high}" if high_s - low_s < 0.1 * high_s else f"{low} to {high}"

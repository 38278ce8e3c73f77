"""The progress of a search on standard error: drawn by rich on a terminal, a line per trial elsewhere."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TypeVar

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from mlflow_nas.cli.forecast import TimeLeft, format_interval, format_seconds, time_of
from mlflow_nas.types import Objective, TrialResult

__all__ = ["Bar", "with_progress"]

Outcome = TypeVar("Outcome")

_BAR_CHARACTERS = 24
_MOST_WORKERS = 8


class NumberedTrial(Protocol):
    """The part of a claimed trial that the display reads."""

    @property
    def number(self) -> int:
        """Of the trial in its study."""


@dataclass(slots=True)
class _Work:
    """A trial that a worker evaluates now, or a stage outside of trials.

    Attributes:
        name: what is shown.
        epochs: of its training; 0 where none are known.
        begun_s, since_s: when it and its current step or epoch began, by the monotonic clock.
        step: that runs.
        epochs_s: seconds of each finished epoch.
    """

    name: str
    epochs: int
    begun_s: float
    since_s: float
    step: str = ""
    epochs_s: list[float] = field(default_factory=list)

    def cells(self, now_s: float) -> tuple[RenderableType, ...]:
        """Name, step, epochs, time, time left of the training."""
        done = len(self.epochs_s)
        count = f"{done} of {self.epochs} epochs" if self.epochs else f"{done} epochs"
        left = max(self.epochs - done, 0)
        ends = f"training {format_interval(time_of([(left, self.epochs_s)]))} left" if done and left else ""
        elapsed = format_seconds(now_s - self.begun_s)
        return tuple(Text(one) for one in (self.name, self.step, count if done else "", elapsed, ends))


@dataclass(slots=True)
class Bar:
    """What a search does now, for all workers: stage, trials, best so far, elapsed and remaining time.

    Attributes:
        console: of standard error.
    """

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    _live: Live | None = None
    _opened_s: float = field(default_factory=time.monotonic)
    _stage: _Work | None = None
    _running: dict[int, _Work] = field(default_factory=dict)
    _time: TimeLeft = field(default_factory=TimeLeft)
    _objectives: tuple[Objective, ...] = ()
    _results: list[TrialResult] = field(default_factory=list)
    _epochs_of_a_trial: int = 0
    _trials: int = 0

    def __enter__(self) -> Self:
        self._stage = self._begin("start")
        if self.console.is_interactive:
            self._live = Live(self, console=self.console, refresh_per_second=2, transient=True)
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def study(
        self, *, trials: int, epochs: int, objectives: Sequence[Objective], known: Sequence[TrialResult]
    ) -> None:
        """The trials begin; finished ones are not forecast."""
        self._epochs_of_a_trial, self._trials = epochs, trials
        self._objectives, self._results = tuple(objectives), list(known)
        self._stage = self._begin("start workers")

    def stage(self, name: str, *, epochs: int = 0) -> None:
        """Work outside of trials begins."""
        self._stage = self._begin(name, epochs)
        self._write(name)

    def trial_started(self, claim: NumberedTrial) -> None:
        """A worker evaluates a trial."""
        self._stage = None
        self._running[claim.number] = self._begin(f"trial {claim.number}", self._epochs_of_a_trial)

    def step(self, claim: NumberedTrial | None, name: str) -> None:
        """A step begins, of a trial or of the current stage."""
        if claim is None and self._stage is None:
            self._stage = self._begin(name)
        elif (work := self._of(claim)) is not None and name != work.name:
            work.step, work.since_s = name, time.monotonic()

    def epoch(self, claim: NumberedTrial | None, number: int, metrics: Mapping[str, float]) -> None:  # noqa: ARG002
        """An epoch has ended."""
        if (work := self._of(claim)) is None:
            return
        now_s = time.monotonic()
        work.epochs_s.append(now_s - work.since_s)
        work.since_s = now_s
        if claim is not None:
            self._time.epochs_s.append(work.epochs_s[-1])

    def trial_finished(self, claim: NumberedTrial, result: TrialResult) -> None:
        """A trial has a result, of whatever state."""
        work = self._running.pop(claim.number, None)
        self._results.append(result)
        if work is not None:
            self._time.rests_s.append(time.monotonic() - work.begun_s - sum(work.epochs_s))
        values = [
            f"{one.name} {result.metrics[one.name]:.3f}"
            for one in self._objectives
            if one.name in result.metrics
        ]
        self._write(f"{self._count()}: {', '.join([f'trial {claim.number} {result.state}', *values])}")

    def trial_interrupted(self, claim: NumberedTrial) -> None:
        """A trial waits for a worker again."""
        self._running.pop(claim.number, None)

    def close(self) -> None:
        """The command ends: one line stays."""
        if self._live is not None:
            self._live.stop()
            self._live = None
            if self._trials:
                elapsed = format_seconds(time.monotonic() - self._opened_s)
                self.console.print(f"{self._count()} in {elapsed}", markup=False)

    def __rich__(self) -> RenderableType:
        """What a terminal shows now."""
        now_s = time.monotonic()
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=max(self._trials, 1), completed=self._done(), width=_BAR_CHARACTERS)
        head.add_row(bar, self._count(), f"{format_seconds(now_s - self._opened_s)} elapsed", *self._best())
        left = self._left()
        parts = [f"{name} {format_interval(one)}" for name, one in left.items() if name != "all"]
        ends = [Text(f"{format_interval(left['all'])} left: {', '.join(parts)}")] if left else []
        return Group(head, *ends, *self._works(now_s))

    def _works(self, now_s: float) -> list[Table]:
        """A table with a row per worker, or of the stage; none where nothing runs."""
        works = [work for _, work in sorted(self._running.items())]
        works = works or ([self._stage] if self._stage else [])
        table = Table.grid(padding=(0, 2))
        for work in works[:_MOST_WORKERS]:
            table.add_row(" ", *work.cells(now_s))
        if len(works) > _MOST_WORKERS:
            table.add_row(" ", f"and {len(works) - _MOST_WORKERS} trials more")
        return [table] if works else []

    def _done(self) -> int:
        return min(len(self._results), self._trials)

    def _count(self) -> str:
        return f"{self._done()} of {self._trials} trials" if self._trials else "preparing"

    def _best(self) -> list[str]:
        """The best of the first objective, and the size of the front."""
        if not self._objectives:
            return []
        from mlflow_nas.report import front_of  # not before a study is open: it loads slowly

        front = front_of(self._results, self._objectives)
        if not front:
            return []
        first = self._objectives[0]
        best = (max if first.maximize else min)(one.metrics[first.name] for one in front)
        return [f"best {first.name} {best:.3f}", f"front {len(front)}"]

    def _left(self) -> dict[str, tuple[float, float]]:
        """Kind of work to its seconds until the trials have ended."""
        trials = self._trials - len(self._results)
        if trials <= 0:
            return {}
        own = [max(one.epochs - len(one.epochs_s), 0) for _, one in sorted(self._running.items())]
        epochs = sum(own) + max(trials - len(own), 0) * self._epochs_of_a_trial
        left = self._time.of(epochs=epochs, trials=trials, workers=len(own))
        if left:  # the last worker ends it
            each = [self._time.of(epochs=count, trials=1, workers=1)["all"] for count in own]
            low, high = zip(left["all"], *each, strict=True)
            left["all"] = (max(low), max(high))
        return left

    def _begin(self, name: str, epochs: int = 0) -> _Work:
        now_s = time.monotonic()
        return _Work(name, epochs, now_s, now_s)

    def _of(self, claim: NumberedTrial | None) -> _Work | None:
        return self._stage if claim is None else self._running.get(claim.number, self._stage)

    def _write(self, line: str) -> None:
        """A line of a log; a terminal shows the same in its live lines."""
        if self._live is None:
            self.console.print(line, markup=False, soft_wrap=True)


def with_progress(work: Callable[[Bar], Outcome]) -> Callable[[], Outcome]:
    """The work with its progress shown while it runs."""

    def run() -> Outcome:
        with Bar() as bar:
            return work(bar)

    return run

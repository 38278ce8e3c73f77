"""Runs in turn, each timed by two clocks: the wall's and that of the processor."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_nas.board.runtime.session import Run

__all__ = ["Clocked", "take_turns", "warm_up"]

WARM_UP_RUNS = 5  # warm-up compares the medians of this many runs
WARM_UP_CHANGE = 0.02
LOST_SHARE = 0.05  # a run that lost the processor for more than this share of its time ...
LOST_MS = 0.02  # ... and more than an interrupt takes, was disturbed


class Clocked(NamedTuple):
    """The runs of one model, in ms: by the wall's clock, and time of the calling thread on a processor."""

    wall: list[float]
    processor: list[float]

    def undisturbed(self) -> list[float]:
        """Wall times of the runs that kept the processor throughout."""
        pairs = zip(self.wall, self.processor)  # noqa: B905 - Python 3.9 has no strict
        return [wall for wall, used in pairs if wall - used <= LOST_SHARE * wall + LOST_MS]

    def work(self, on_cpu: bool) -> list[float]:
        """Times to which other processes add least: the processor's where it computes, else the wall's."""
        return self.processor if on_cpu else self.wall


def take_turns(runs: Sequence[Run], budget_s: float, least: int, most: int) -> list[Clocked]:
    """Run in turn (first, second, first, ...) until the budget is used, at least and at most so often."""
    clocked = [Clocked([], []) for _ in runs]
    wall, processor = time.perf_counter_ns, time.thread_time_ns
    end, turns = wall() + int(budget_s * 1e9), 0
    while turns < most and (turns < least or wall() < end):
        for own, run in zip(clocked, runs):  # noqa: B905
            used, start = processor(), wall()
            run()
            own.wall.append((wall() - start) / 1e6)
            own.processor.append((processor() - used) / 1e6)
        turns += 1
    return clocked


def warm_up(runs: Sequence[Run], budget_s: float) -> None:
    """Run in turn until every median moves by less than WARM_UP_CHANGE, or the budget is used."""
    end = time.perf_counter() + budget_s
    before = [0.0] * len(runs)
    while time.perf_counter() < end:
        now = [statistics.median(own.wall) for own in take_turns(runs, 0, WARM_UP_RUNS, WARM_UP_RUNS)]
        if all(abs(now[turn] - before[turn]) < WARM_UP_CHANGE * now[turn] for turn in range(len(runs))):
            return
        before = now

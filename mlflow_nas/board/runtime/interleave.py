"""Interleaved runs of several models, each with its wall-clock and its CPU time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_nas.board.runtime.session import Run

__all__ = ["RunTimes", "interleave", "warm_up"]

WARM_UP_RUNS = 5  # warm-up compares the medians of this many runs
WARM_UP_CHANGE = 0.02
LOST_SHARE = 0.05  # a run that lost the processor for more than this share of its time ...
LOST_MS = 0.02  # ... and for more than an interrupt takes, was preempted


class RunTimes(NamedTuple):
    """Times of one model's runs in ms: wall clock, and CPU time of the calling thread."""

    wall: list[float]
    cpu: list[float]

    def undisturbed(self) -> list[float]:
        """Wall-clock times of the runs that were not preempted."""
        pairs = zip(self.wall, self.cpu)  # noqa: B905 - Python 3.9 has no strict
        return [wall for wall, cpu in pairs if wall - cpu <= LOST_SHARE * wall + LOST_MS]

    def compute(self, on_cpu: bool) -> list[float]:
        """The times that other processes change least: CPU time, or wall clock with an accelerator."""
        return self.cpu if on_cpu else self.wall


def interleave(runs: Sequence[Run], budget_s: float, min_runs: int, max_runs: int) -> list[RunTimes]:
    """Run alternately (first, second, first, ...) until the budget is spent, within the bounds per model."""
    times = [RunTimes([], []) for _ in runs]
    wall, cpu = time.perf_counter_ns, time.thread_time_ns
    end, rounds = wall() + int(budget_s * 1e9), 0
    while rounds < max_runs and (rounds < min_runs or wall() < end):
        for own, run in zip(times, runs):  # noqa: B905
            cpu_start, start = cpu(), wall()
            run()
            own.wall.append((wall() - start) / 1e6)
            own.cpu.append((cpu() - cpu_start) / 1e6)
        rounds += 1
    return times


def warm_up(runs: Sequence[Run], budget_s: float) -> None:
    """Run alternately until every median changes by less than WARM_UP_CHANGE, or the budget is spent."""
    end = time.perf_counter() + budget_s
    before = [0.0] * len(runs)
    while time.perf_counter() < end:
        now = [statistics.median(own.wall) for own in interleave(runs, 0, WARM_UP_RUNS, WARM_UP_RUNS)]
        if all(abs(new - old) < WARM_UP_CHANGE * new for new, old in zip(now, before)):  # noqa: B905
            return
        before = now

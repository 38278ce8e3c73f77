"""How long a model takes, in turn with a baseline."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Sequence

from mlflow_nas.board.runtime.facts import CHANGING, facts
from mlflow_nas.board.runtime.failure import Answer
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.session import Run, load

__all__ = ["time_"]

Times = list[list[float]]

WARM_UP_RUNS = 5  # warm-up compares the medians of this many runs
WARM_UP_CHANGE = 0.02


def _take_turns(runs: Sequence[Run], budget_s: float, least: int, most: int) -> tuple[Times, float]:
    """The times of each run in ms, taken in turn (first, second, first, ...), and the share preempted.

    A run that lost the processor to another process is left out as long as the least number remains.
    """
    every: Times = [[] for _ in runs]
    quiet: Times = [[] for _ in runs]
    clock, end = time.perf_counter_ns, time.perf_counter_ns() + int(budget_s * 1e9)
    while len(every[0]) < most and (len(every[0]) < least or clock() < end):
        for turn, run in enumerate(runs):
            switches, start = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw, clock()
            run()
            every[turn].append((clock() - start) / 1e6)
            if resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw == switches:
                quiet[turn].append(every[turn][-1])
    kept = quiet if min(len(times) for times in quiet) >= least else every
    return kept, 1 - len(quiet[0]) / len(every[0])


def _warm_up(runs: Sequence[Run], budget_s: float) -> None:
    """Run in turn until every median moves by less than WARM_UP_CHANGE, or the budget is used."""
    end = time.perf_counter() + budget_s
    before = [0.0] * len(runs)
    while time.perf_counter() < end:
        now = [statistics.median(times) for times in _take_turns(runs, 0, WARM_UP_RUNS, WARM_UP_RUNS)[0]]
        if all(abs(now[turn] - before[turn]) < WARM_UP_CHANGE * now[turn] for turn in range(len(runs))):
            return
        before = now


def time_(
    model: str,
    baseline: str | None,
    session: Answer,
    lock: Answer,
    budget_s: float,
    min_runs: int,
    max_runs: int,
) -> Answer:
    """Time the model in turn with the baseline, `min_runs` to `max_runs` times, alone on the device."""
    with exclusive(**lock):
        return _time(model, baseline, session, budget_s, min_runs, max_runs)


def _time(
    model: str, baseline: str | None, session: Answer, budget_s: float, min_runs: int, max_runs: int
) -> Answer:
    import numpy as np

    before = facts()
    runs = [load(path, **session)[1] for path in (model, baseline) if path]
    _warm_up(runs, budget_s / 3)
    gc.collect()
    gc.disable()
    try:
        times, preempted = _take_turns(runs, budget_s, min_runs, max_runs)
    finally:
        gc.enable()
    after = {f"{name}_after": value for name, value in facts().items() if name in CHANGING}
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    answer = {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "min_ms": min(times[0]), "mean_ms": mean}
    answer.update(cv=statistics.pstdev(times[0]) / mean, runs=len(times[0]))
    if baseline:
        answer["baseline_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = p50 / answer["baseline_p50_ms"]
    settings = {"threads": str(session["threads"]), "preempted": f"{preempted:.2f}"}
    return {**answer, "facts": {**before, **after, **settings}}

"""How long a model takes, in turn with a baseline."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Sequence

from mlflow_nas.board.runtime.facts import before_and_after, facts, is_throttled
from mlflow_nas.board.runtime.failure import Answer
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.power import energy
from mlflow_nas.board.runtime.session import Run, load

__all__ = ["spread", "time_", "warm_up"]

Times = list[list[float]]

WARM_UP_RUNS = 5  # warm-up compares the medians of this many runs
WARM_UP_CHANGE = 0.02
PARTS = 5  # a measurement is stable when its consecutive parts agree


def time_(
    model: str, baseline: str | None, session: Answer, lock: Answer, protocol: Answer, root: str = "/"
) -> Answer:
    """Time the model in turn with the baseline, alone on the device.

    Args:
        model: path of the file.
        baseline: path of the file to take turns with, or None.
        session: how they run, as `load` takes it.
        lock: how the device is held, as `exclusive` takes it.
        protocol: `budget_s` of timed runs, `min_runs`, `max_runs`, and `attempts` to come below `max_spread`.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    with exclusive(**lock):
        before = facts(root, core)
        runs = [load(path, **session)[1] for path in (model, baseline) if path]
        measured = _best_of_attempts(runs, **protocol)
        after = facts(root, core)
        power = energy(runs[0], protocol["budget_s"] / 3, root)
    said = {"threads": str(session["threads"]), "preempted": f"{measured.pop('preempted'):.2f}"}
    if "sensor" in power:
        said["power_sensor"] = power.pop("sensor")
    return {
        **measured,
        **power,
        "unstable": is_throttled(before, after) or measured["spread"] > protocol["max_spread"],
        "facts": {**before_and_after(before, after), **said},
    }


def _best_of_attempts(
    runs: Sequence[Run], budget_s: float, min_runs: int, max_runs: int, max_spread: float, attempts: int
) -> Answer:
    """Measure until the parts agree; of several attempts the one whose parts agree best."""
    found: list[Answer] = []
    for _ in range(attempts):
        found.append(_measure(runs, budget_s, min_runs, max_runs))
        if found[-1]["spread"] <= max_spread:
            break
    return {**min(found, key=lambda answer: float(answer["spread"])), "attempts": len(found)}


def _measure(runs: Sequence[Run], budget_s: float, min_runs: int, max_runs: int) -> Answer:
    """Warm up, take turns, sum up."""
    import numpy as np

    warm_up(runs, budget_s / 3)
    gc.collect()
    gc.disable()
    try:
        times, preempted = _take_turns(runs, budget_s, min_runs, max_runs)
    finally:
        gc.enable()
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    answer = {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "min_ms": min(times[0]), "mean_ms": mean}
    answer.update(cv=statistics.pstdev(times[0]) / mean, runs=len(times[0]))
    if len(times) > 1:
        answer["baseline_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = p50 / answer["baseline_p50_ms"]
    return {**answer, "spread": spread(times), "preempted": preempted}


def spread(times: Times) -> float:
    """Coefficient of variation of the median, or of the ratio of the medians, over consecutive parts."""
    parts = [[statistics.median(part) for part in _parts(own)] for own in times]
    values = [own / other for own, other in zip(*parts)] if len(parts) > 1 else parts[0]  # noqa: B905 - 3.9
    return statistics.pstdev(values) / statistics.fmean(values)


def _parts(times: Sequence[float]) -> list[Sequence[float]]:
    """So many parts of one length; fewer where there are fewer times."""
    size = max(len(times) // PARTS, 1)
    return [times[start : start + size] for start in range(0, size * PARTS, size) if start < len(times)]


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


def warm_up(runs: Sequence[Run], budget_s: float) -> None:
    """Run in turn until every median moves by less than WARM_UP_CHANGE, or the budget is used."""
    end = time.perf_counter() + budget_s
    before = [0.0] * len(runs)
    while time.perf_counter() < end:
        now = [statistics.median(times) for times in _take_turns(runs, 0, WARM_UP_RUNS, WARM_UP_RUNS)[0]]
        if all(abs(now[turn] - before[turn]) < WARM_UP_CHANGE * now[turn] for turn in range(len(runs))):
            return
        before = now

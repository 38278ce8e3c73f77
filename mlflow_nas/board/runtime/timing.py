"""How long a model takes, in turn with a baseline."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from mlflow_nas.board.runtime.facts import before_and_after, facts, is_throttled
from mlflow_nas.board.runtime.failure import Answer
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.power import energy
from mlflow_nas.board.runtime.session import Run, load
from mlflow_nas.board.runtime.turns import Clocked, take_turns, warm_up

__all__ = ["spread", "time_"]

Loaded = list[Clocked]  # the runs of each model between one load and the next

LOADING = 2  # budgets that may go into loading and warming up
NORMAL = 1.4826  # the standard deviation of a normal distribution / its median absolute deviation


def time_(
    model: str, baseline: str | None, session: Answer, lock: Answer, protocol: Answer, root: str = "/"
) -> Answer:
    """Time the model in turn with the baseline, alone on the device.

    Where a load puts a model in memory can make it slower by a tenth for as long as it stays there. So the
    models are loaded anew several times, and the ratio is the median over these loads of the ratio of the
    medians.

    The times are those of runs that kept the processor; where too few did, those of the processor's clock,
    and the measurement is unstable. The ratio goes by the processor's clock, to which other processes add
    nothing; where an accelerator computes, by the wall's.

    Args:
        model: path of the file.
        baseline: path of the file to take turns with, or None.
        session: how they run, as `load` takes it.
        lock: how the device is held, as `exclusive` takes it.
        protocol: `budget_s` of timed runs, `min_runs`, `max_runs`, `min_loads` and `max_loads` among which
            they are shared, and `attempts` to come below `max_spread`.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    with exclusive(**lock):
        before = facts(root, core)
        paths = [path for path in (model, baseline) if path]
        measured = _best_of_attempts(
            lambda: [load(path, **session)[1] for path in paths], **protocol, on_cpu=_is_on_cpu(session)
        )
        after = facts(root, core)
        power = energy(load(model, **session)[1], protocol["budget_s"] / 3, root)
    disturbed, preempted, loads = (measured.pop(name) for name in ("disturbed", "preempted", "loads"))
    said = {"threads": str(session["threads"]), "preempted": f"{preempted:.2f}", "loads": str(loads)}
    if "sensor" in power:
        said["power_sensor"] = power.pop("sensor")
    return {
        **measured,
        **power,
        "unstable": disturbed or is_throttled(before, after) or measured["spread"] > protocol["max_spread"],
        "facts": {**before_and_after(before, after), **said},
    }


def _is_on_cpu(session: Answer) -> bool:
    """Whether the calling thread computes throughout a run, and does not wait for an accelerator."""
    return all(name == "CPUExecutionProvider" for name, _ in session.get("providers", ()))


def _best_of_attempts(
    load_all: Callable[[], Sequence[Run]], max_spread: float, attempts: int, on_cpu: bool, **protocol: Any
) -> Answer:
    """Measure until the loads agree; of several attempts the one that was disturbed least."""
    found: list[Answer] = []
    for _ in range(attempts):
        loads = _measure(load_all, **protocol)
        found.append(_summary(loads, protocol["min_runs"], on_cpu))
        if found[-1]["spread"] <= max_spread and not found[-1]["disturbed"]:
            break
    best = min(found, key=lambda answer: (answer["disturbed"], float(answer["spread"])))
    return {**best, "attempts": len(found)}


def _measure(
    load_all: Callable[[], Sequence[Run]],
    budget_s: float,
    min_runs: int,
    max_runs: int,
    min_loads: int,
    max_loads: int,
) -> list[Loaded]:
    """Load, warm up, take turns, as often as loading and warming up leave them to LOADING budgets."""
    found: list[Loaded] = []
    start, loads = time.perf_counter(), max_loads
    while len(found) < loads:
        runs = load_all()
        warm_up(runs, budget_s / 3 / loads)
        if not found:
            ready_s = time.perf_counter() - start
            loads = max(min_loads, min(max_loads, int(LOADING * budget_s / ready_s)))
        gc.collect()
        gc.disable()
        try:
            found.append(take_turns(runs, budget_s / loads, -(-min_runs // loads), -(-max_runs // loads)))
        finally:
            gc.enable()
    return found


def _summary(loads: Sequence[Loaded], min_runs: int, on_cpu: bool) -> Answer:
    """Quantiles and mean of the undisturbed runs; where too few were, of all runs' processor time."""
    import numpy as np

    clocked = [_joined(own) for own in zip(*loads)]  # noqa: B905 - Python 3.9 has no strict
    quiet = [own.undisturbed() for own in clocked]
    disturbed = min(len(times) for times in quiet) < min_runs
    times = [own.work(on_cpu) for own in clocked] if disturbed else quiet
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    answer = {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "min_ms": min(times[0]), "mean_ms": mean}
    answer.update(cv=statistics.pstdev(times[0]) / mean, runs=len(times[0]), disturbed=disturbed)
    values = [_value(loaded, on_cpu) for loaded in loads]
    if len(clocked) > 1:
        answer["baseline_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = statistics.median(values)
    preempted = 1 - len(quiet[0]) / len(clocked[0].wall)
    return {**answer, "loads": len(loads), "spread": spread(values), "preempted": preempted}


def _joined(loads: Sequence[Clocked]) -> Clocked:
    """All runs of one model."""
    return Clocked([ms for own in loads for ms in own.wall], [ms for own in loads for ms in own.processor])


def _value(loaded: Loaded, on_cpu: bool) -> float:
    """What one load says: the ratio of the medians, or the median where there is no baseline."""
    medians = [statistics.median(own.work(on_cpu)) for own in loaded]
    return medians[0] / medians[1] if len(medians) > 1 else medians[0]


def spread(values: Sequence[float]) -> float:
    """Coefficient of variation between the loads, from their median absolute deviation.

    As their median does, it passes over the few loads that differ from all others.
    """
    middle = statistics.median(values)
    return NORMAL * statistics.median(abs(value - middle) for value in values) / middle

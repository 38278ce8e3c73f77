"""How long a model takes, in turn with a baseline."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Sequence

from mlflow_nas.board.runtime.facts import before_and_after, facts, is_throttled
from mlflow_nas.board.runtime.failure import Answer
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.power import energy
from mlflow_nas.board.runtime.session import Run, load
from mlflow_nas.board.runtime.turns import Clocked, take_turns, warm_up

__all__ = ["spread", "time_"]

Times = list[list[float]]

PARTS = 5  # a measurement is stable when its consecutive parts agree


def time_(
    model: str, baseline: str | None, session: Answer, lock: Answer, protocol: Answer, root: str = "/"
) -> Answer:
    """Time the model in turn with the baseline, alone on the device.

    The times are those of runs that kept the processor; where too few did, those of the processor's clock,
    and the measurement is unstable. The ratio is that of the medians by the processor's clock, to which other
    processes add nothing; where an accelerator computes, by the wall's.

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
        measured = _best_of_attempts(runs, **protocol, on_cpu=_is_on_cpu(session))
        after = facts(root, core)
        power = energy(runs[0], protocol["budget_s"] / 3, root)
    disturbed, preempted = measured.pop("disturbed"), measured.pop("preempted")
    said = {"threads": str(session["threads"]), "preempted": f"{preempted:.2f}"}
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
    runs: Sequence[Run],
    budget_s: float,
    min_runs: int,
    max_runs: int,
    max_spread: float,
    attempts: int,
    on_cpu: bool,
) -> Answer:
    """Measure until the parts agree; of several attempts the one that was disturbed least."""
    found: list[Answer] = []
    for _ in range(attempts):
        found.append(_measure(runs, budget_s, min_runs, max_runs, on_cpu))
        if found[-1]["spread"] <= max_spread and not found[-1]["disturbed"]:
            break
    best = min(found, key=lambda answer: (answer["disturbed"], float(answer["spread"])))
    return {**best, "attempts": len(found)}


def _measure(runs: Sequence[Run], budget_s: float, min_runs: int, max_runs: int, on_cpu: bool) -> Answer:
    """Warm up, take turns, sum up."""
    warm_up(runs, budget_s / 3)
    gc.collect()
    gc.disable()
    try:
        clocked = take_turns(runs, budget_s, min_runs, max_runs)
    finally:
        gc.enable()
    return _summary(clocked, min_runs, on_cpu)


def _summary(clocked: Sequence[Clocked], min_runs: int, on_cpu: bool) -> Answer:
    """Quantiles and mean of the undisturbed runs; where too few were, of all runs' processor time."""
    import numpy as np

    quiet = [own.undisturbed() for own in clocked]
    disturbed = min(len(times) for times in quiet) < min_runs
    work = [own.processor if on_cpu else own.wall for own in clocked]
    times = work if disturbed else quiet
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    answer = {"p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "min_ms": min(times[0]), "mean_ms": mean}
    answer.update(cv=statistics.pstdev(times[0]) / mean, runs=len(times[0]), disturbed=disturbed)
    if len(clocked) > 1:
        answer["baseline_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = statistics.median(work[0]) / statistics.median(work[1])
    preempted = 1 - len(quiet[0]) / len(clocked[0].wall)
    return {**answer, "spread": spread(work), "preempted": preempted}


def spread(times: Times) -> float:
    """Coefficient of variation of the median, or of the ratio of the medians, over consecutive parts."""
    parts = [[statistics.median(part) for part in _parts(own)] for own in times]
    values = [own / other for own, other in zip(*parts)] if len(parts) > 1 else parts[0]  # noqa: B905 - 3.9
    return statistics.pstdev(values) / statistics.fmean(values)


def _parts(times: Sequence[float]) -> list[Sequence[float]]:
    """So many parts of one length; fewer where there are fewer times."""
    size = max(len(times) // PARTS, 1)
    return [times[start : start + size] for start in range(0, size * PARTS, size) if start < len(times)]

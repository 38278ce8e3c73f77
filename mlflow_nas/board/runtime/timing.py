"""Latency of a model, measured alternately with a reference model."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence

from mlflow_nas.board.runtime.facts import LITERT, before_and_after, facts, library_of, throttling
from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.interleave import RunTimes, interleave, warm_up
from mlflow_nas.board.runtime.loading import first_load
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.pipeline import pipeline
from mlflow_nas.board.runtime.power import energy
from mlflow_nas.board.runtime.session import Run, load

__all__ = ["MAX_SPREAD", "PROTOCOL", "best_of_attempts", "measure_loads", "spread", "summarize", "time_"]

PROTOCOL = {"min_runs": 20, "max_runs": 2000, "min_loads": 3, "max_loads": 15, "attempts": 3}
"""Of every measurement, beside its budget."""

MAX_SPREAD = 0.03
"""Limit of the coefficient of variation between the loads of a measurement."""

LoadTimes = list[RunTimes]  # of each model, between one load and the next

LOADING = 2  # budgets that loading and warming up may take
NORMAL = 1.4826  # the standard deviation of a normal distribution / its median absolute deviation

_COUNTS = ("disturbed", "kept", "timed", "loads")


def time_(
    model: str,
    reference: str | None,
    session: JsonObject,
    lock: JsonObject,
    protocol: JsonObject,
    root: str = "/",
) -> JsonObject:
    """Time the model alternately with the reference model, alone on the device.

    The memory that a load happens to use can make a model slower by a tenth until the next load. So the
    models are loaded several times, and the ratio is the median over the loads of the ratio of the medians.

    The times are those of runs that were not preempted; with too few of those they are CPU times, and the
    measurement is unstable. The ratio is one of CPU times, to which other processes add nothing; with an
    accelerator, of wall-clock times.

    Args:
        model: path of the file.
        reference: path of the reference model's file, or None.
        session: the arguments of `load`.
        lock: the arguments of `device_lock`.
        protocol: `budget_s` of timed runs, `min_runs`, `max_runs`, `min_loads` and `max_loads` that share
            them, and at most `attempts` to get below `max_spread`.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    library = library_of(model)
    on_cpu = _is_on_cpu(session, library)
    shares = dict(protocol)
    attempts, max_spread = shares.pop("attempts"), shares.pop("max_spread")
    paths = [path for path in (model, reference) if path]

    def attempt() -> JsonObject:
        loads = measure_loads(lambda: [load(path, **session)[1] for path in paths], **shares)
        return summarize(loads, shares["min_runs"], on_cpu)

    with device_lock(**lock):
        before = facts(root, core, library)
        start = first_load(model, session, root)
        measured = best_of_attempts(attempt, attempts, max_spread)
        after = facts(root, core, library)
        network, run = load(model, **session)
        power = energy(run, protocol["budget_s"] / 3, root)
        whole = pipeline(network, protocol["budget_s"] / 10)
    cause = _unstable_cause(measured, max_spread, throttling(before, after))
    counts = {"preempted": f"{1 - measured['kept'] / measured['timed']:.2f}", "loads": str(measured["loads"])}
    if "sensor" in power:
        counts["power_sensor"] = power.pop("sensor")
    if whole:
        counts["pipeline_image"] = whole.pop("pipeline_image")
    return {
        **{name: value for name, value in measured.items() if name not in _COUNTS},
        **power,
        **start,
        **whole,
        "unstable": bool(cause),
        "unstable_cause": cause,
        "facts": {**before_and_after(before, after), "threads": str(session["threads"]), **counts},
    }


def _is_on_cpu(session: JsonObject, library: str) -> bool:
    """Whether the processor computes all of a model, so that its time is the model's."""
    if library == LITERT:
        return not session.get("delegate")
    return all(name == "CPUExecutionProvider" for name, _ in session.get("providers", ()))


def _unstable_cause(measured: JsonObject, max_spread: float, throttled: str) -> str:
    """Every reason to distrust the measurement, with its figure; "" for none."""
    causes = []
    if measured["spread"] > max_spread:
        causes.append(f"the loads differed by {measured['spread']:.1%}, {max_spread:.1%} is the limit")
    if measured["disturbed"]:
        causes.append(f"only {measured['kept']} of {measured['timed']} runs kept the processor")
    if throttled:
        causes.append(f"the board throttled ({throttled})")
    return "; ".join(causes)


def best_of_attempts(attempt: Callable[[], JsonObject], attempts: int, max_spread: float) -> JsonObject:
    """Measure until the loads agree; of several attempts the least disturbed one.

    Args:
        attempt: measures once; its answer has at least `spread` and `disturbed`.
        attempts: at most.
        max_spread: a larger spread is measured again.
    """
    found: list[JsonObject] = []
    for _ in range(attempts):
        found.append(attempt())
        if found[-1]["spread"] <= max_spread and not found[-1]["disturbed"]:
            break
    best = min(found, key=lambda answer: (answer["disturbed"], float(answer["spread"])))
    return {**best, "attempts": len(found)}


def measure_loads(
    load_all: Callable[[], Sequence[Run]],
    budget_s: float,
    min_runs: int,
    max_runs: int,
    min_loads: int,
    max_loads: int,
) -> list[LoadTimes]:
    """Load, warm up and run alternately, as often as loading and warming up fit into LOADING budgets.

    Args:
        load_all: loads the models.
        budget_s: seconds of timed runs, shared by the loads.
        min_runs: of each model over all loads, at least.
        max_runs: of each model over all loads, at most.
        min_loads: at least.
        max_loads: at most.
    """
    found: list[LoadTimes] = []
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
            found.append(interleave(runs, budget_s / loads, -(-min_runs // loads), -(-max_runs // loads)))
        finally:
            gc.enable()
    return found


def summarize(loads: Sequence[LoadTimes], min_runs: int, on_cpu: bool) -> JsonObject:
    """Quantiles and mean over the undisturbed runs; with fewer than `min_runs`, over all CPU times."""
    import numpy as np

    models = [_joined(own) for own in zip(*loads)]  # noqa: B905 - Python 3.9 has no strict
    undisturbed = [own.undisturbed() for own in models]
    kept, timed = min((len(quiet), len(own.wall)) for quiet, own in zip(undisturbed, models))  # noqa: B905
    disturbed = kept < min_runs
    times = [own.compute(on_cpu) for own in models] if disturbed else undisturbed
    p50, p90, p99 = np.percentile(times[0], [50, 90, 99]).tolist()
    mean = statistics.fmean(times[0])
    values = [_value(loaded, on_cpu) for loaded in loads]
    answer: JsonObject = {
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "min_ms": min(times[0]),
        "mean_ms": mean,
        "cv": statistics.pstdev(times[0]) / mean,
        "runs": len(times[0]),
        "spread": spread(values),
        **dict(zip(_COUNTS, (disturbed, kept, timed, len(loads)))),  # noqa: B905
    }
    if len(models) > 1:
        answer["reference_p50_ms"] = statistics.median(times[1])
        answer["ratio"] = statistics.median(values)
    return answer


def _joined(loads: Sequence[RunTimes]) -> RunTimes:
    """All runs of one model."""
    return RunTimes([ms for own in loads for ms in own.wall], [ms for own in loads for ms in own.cpu])


def _value(loaded: LoadTimes, on_cpu: bool) -> float:
    """The value of one load: the ratio of the medians, or the median without a reference."""
    medians = [statistics.median(own.compute(on_cpu)) for own in loaded]
    return medians[0] / medians[1] if len(medians) > 1 else medians[0]


def spread(values: Sequence[float]) -> float:
    """Coefficient of variation between the loads, from their median absolute deviation.

    Like the median, it ignores a few loads that differ from all others.
    """
    middle = statistics.median(values)
    return NORMAL * statistics.median(abs(value - middle) for value in values) / middle

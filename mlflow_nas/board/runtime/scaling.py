"""How the times of a model scale: with threads, and with the time that it runs without a pause."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

from mlflow_nas.board.runtime.facts import before_and_after, conditions
from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.interleave import interleave, warm_up
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.session import Run, load

__all__ = ["by_threads", "sustained"]

WINDOWS = 30  # of a sustained load
SHOWN = ("temperature_c", "clock_mhz")


def by_threads(
    models: Sequence[str],
    session: JsonObject,
    lock: JsonObject,
    threads: Sequence[int],
    budget_s: float,
    min_runs: int,
    max_runs: int,
) -> JsonObject:
    """Median wall-clock times of the models, which run in turn, with each number of threads.

    Numbers above the cores that the session may use are left out.

    Args:
        models: paths of the files.
        session: the arguments of `load`; its number of threads is replaced.
        lock: the arguments of `device_lock`.
        threads: of one inference.
        budget_s: seconds of timed runs for each number.
        min_runs: of each model, at least.
        max_runs: of each model, at most.
    """
    cores = len(session.get("cores") or ()) or os.cpu_count() or 1
    rows = []
    with device_lock(**lock):
        for count in [count for count in threads if count <= cores]:
            runs = [load(model, **{**session, "threads": count})[1] for model in models]
            warm_up(runs, budget_s / 3)
            times = interleave(runs, budget_s, min_runs, max_runs)
            rows.append({"threads": count, "ms": [statistics.median(own.wall) for own in times]})
    return {"rows": rows}


def sustained(
    model: str, session: JsonObject, lock: JsonObject, seconds: float, root: str = "/"
) -> JsonObject:
    """Run a model without a pause: the rate of each part of the time, with temperature and clock where known.

    Args:
        model: path of the file.
        session: the arguments of `load`.
        lock: the arguments of `device_lock`.
        seconds: how long.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    with device_lock(**lock):
        _, run = load(model, **session)
        before = conditions(root, core)
        windows = [_window(run, seconds / WINDOWS, root, core) for _ in range(WINDOWS)]
        after = conditions(root, core)
    elapsed_s = 0.0
    for window in windows:
        elapsed_s += window["seconds"]
        window["seconds"] = elapsed_s
    return {"windows": windows, "facts": before_and_after(before, after)}


def _window(run: Run, seconds: float, root: str, core: int) -> JsonObject:
    """Runs per second of one part, and the facts at its end."""
    start, runs = time.perf_counter(), 0
    while runs == 0 or time.perf_counter() - start < seconds:
        run()
        runs += 1
    took_s = time.perf_counter() - start
    found = conditions(root, core)
    known = {name: float(found[name]) for name in SHOWN if name in found}
    return {"seconds": took_s, "runs_per_s": runs / took_s, **known}

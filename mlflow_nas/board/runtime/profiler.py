"""Time of each node of a model, by ONNX Runtime's own profiler."""

from __future__ import annotations

import json
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.facts import before_and_after, facts
from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.interleave import RunTimes, interleave, warm_up
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.session import Run, load

__all__ = ["profile", "read_events", "summarize_events"]

Event = dict[str, Any]

NODE_END = "_kernel_time"
SIZES = ("activation_size", "parameter_size", "output_size")


def profile(
    models: Sequence[str],
    session: JsonObject,
    lock: JsonObject,
    budget_s: float,
    min_runs: int,
    max_runs: int,
    root: str = "/",
) -> JsonObject:
    """Time the models and, under ONNX Runtime's profiler, their nodes; they run in turn, alone on the device.

    Args:
        models: paths of the files; ONNX Runtime's profiles are written beside them.
        session: the arguments of `load`.
        lock: the arguments of `device_lock`.
        budget_s: seconds of timed runs.
        min_runs: of each model, at least.
        max_runs: of each model, at most.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    with device_lock(**lock):
        before = facts(root, core)
        plain = _timed([load(model, **session)[1] for model in models], budget_s / 2, min_runs, max_runs)
        loaded = [load(model, profile=f"{model}-profile", **session) for model in models]
        timed = _timed([run for _, run in loaded], budget_s / 2, min_runs, max_runs)
        found = [
            summarize_events(read_events(network.end_profiling()), len(times.wall))
            for (network, _), times in zip(loaded, timed)  # noqa: B905 - Python 3.9 has no strict
        ]
        after = facts(root, core)
    run_ms = [statistics.median(times.wall) for times in plain]
    return {
        "models": [{**one, "run_ms": ms} for one, ms in zip(found, run_ms)],  # noqa: B905
        "facts": {**before_and_after(before, after), "threads": str(session["threads"])},
    }


def _timed(runs: Sequence[Run], budget_s: float, min_runs: int, max_runs: int) -> list[RunTimes]:
    """Times of alternate runs after a warm-up."""
    warm_up(runs, budget_s / 3)
    return interleave(runs, budget_s, min_runs, max_runs)


def read_events(path: str) -> list[Event]:
    """The events of a profile that ONNX Runtime wrote."""
    try:
        found: list[Event] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(
            "device", f"ONNX Runtime's profile {path} can't be read: {error}; free space in its folder"
        ) from error
    return found


def summarize_events(events: Iterable[Event], timed: int) -> JsonObject:
    """Median time of the last `timed` runs and of each node in them, in execution order."""
    spans = sorted((event for event in events if "dur" in event), key=lambda event: float(event["ts"]))
    runs = [event for event in spans if event["name"] == "model_run"][-timed:]
    starts = [float(run["ts"]) for run in runs]
    times: dict[tuple[str, str], list[float]] = {}
    node_of: dict[tuple[str, str], Event] = {}
    for event in spans:
        number = bisect_right(starts, float(event["ts"])) - 1
        if event.get("cat") != "Node" or not event["name"].endswith(NODE_END) or number < 0:
            continue
        key = (event["name"], event["args"].get("node_index", ""))
        node_of.setdefault(key, event)
        times.setdefault(key, [0.0] * len(runs))[number] += float(event["dur"]) / 1e3
    nodes = [_node(event, statistics.median(times[key])) for key, event in node_of.items()]
    profiled_ms = statistics.median(float(run["dur"]) / 1e3 for run in runs)
    return {"profiled_ms": profiled_ms, "runs": len(runs), "nodes": nodes}


def _node(event: Event, ms: float) -> JsonObject:
    """Name, operator, provider, time and bytes of a node."""
    args = event["args"]
    sizes = {name: int(args.get(name) or 0) for name in SIZES}
    return {
        "name": event["name"][: -len(NODE_END)],
        "op": args.get("op_name", ""),
        "provider": args.get("provider", ""),
        "ms": ms,
        **sizes,
    }

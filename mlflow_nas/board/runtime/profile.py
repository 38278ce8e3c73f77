"""How long each node of a model takes, by ONNX Runtime's own profiler."""

from __future__ import annotations

import json
import statistics
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.facts import before_and_after, facts
from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.lock import exclusive
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.runtime.turns import take_turns, warm_up

__all__ = ["profile"]

Event = dict[str, Any]

NODE_END = "_kernel_time"
SIZES = ("activation_size", "parameter_size", "output_size")


def profile(
    models: Sequence[str],
    session: Answer,
    lock: Answer,
    budget_s: float,
    min_runs: int,
    max_runs: int,
    root: str = "/",
) -> Answer:
    """Time every node of the models, which run in turn, alone on the device.

    Args:
        models: paths of the files; ONNX Runtime's profiles are written beside them.
        session: how they run, as `load` takes it.
        lock: how the device is held, as `exclusive` takes it.
        budget_s: seconds of timed runs.
        min_runs: of each model, at least.
        max_runs: of each model, at most.
        root: of the file system, for tests.
    """
    core = session["cores"][0] if session.get("cores") else 0
    with exclusive(**lock):
        before = facts(root, core)
        loaded = [load(model, profile=f"{model}-profile", **session) for model in models]
        runs = [run for _, run in loaded]
        warm_up(runs, budget_s / 3)
        turns = len(take_turns(runs, budget_s, min_runs, max_runs)[0].wall)
        found = [_summary(_events(network.end_profiling()), turns) for network, _ in loaded]
        after = facts(root, core)
    said = {"threads": str(session["threads"])}
    return {"models": found, "facts": {**before_and_after(before, after), **said}}


def _events(path: str) -> list[Event]:
    try:
        found: list[Event] = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(
            "device", f"ONNX Runtime's profile {path} can't be read: {error}; free space in its folder"
        ) from error
    return found


def _summary(events: Iterable[Event], turns: int) -> Answer:
    """The median time of the last runs, and of each node in them, in the order in which they ran."""
    spans = sorted((event for event in events if "dur" in event), key=lambda event: float(event["ts"]))
    runs = [event for event in spans if event["name"] == "model_run"][-turns:]
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
    run_ms = statistics.median(float(run["dur"]) / 1e3 for run in runs)
    return {"run_ms": run_ms, "runs": len(runs), "nodes": nodes}


def _node(event: Event, ms: float) -> Answer:
    """Name, operator and provider as they ran, time, and bytes: what ONNX Runtime says of a node."""
    said = event["args"]
    sizes = {name: int(said.get(name) or 0) for name in SIZES}
    return {
        "name": event["name"][: -len(NODE_END)],
        "op": said.get("op_name", ""),
        "provider": said.get("provider", ""),
        "ms": ms,
        **sizes,
    }

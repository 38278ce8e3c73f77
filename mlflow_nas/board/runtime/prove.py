"""A release is proved on the device itself: golden samples, then latency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_nas.board.runtime.failure import Failure, JsonObject
from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.board.runtime.lock import device_lock
from mlflow_nas.board.runtime.session import load
from mlflow_nas.board.runtime.timing import MAX_SPREAD, PROTOCOL, time_

__all__ = ["prove"]

BUDGET_S = 2.5
MAX_REGRESSION = 0.1


def prove(
    model: str, golden: Path, active: str | None, session: JsonObject, lock: JsonObject, limits: JsonObject
) -> JsonObject:
    """Compare the outputs of the golden samples, measure, and check the limits.

    Args:
        model: path of the release's file.
        golden: its golden samples.
        active: path of the active version's file, in turn with which it is timed; None without another one.
        session: the arguments of `load`.
        lock: the arguments of `device_lock`.
        limits: `latency_ms`, None for any; `regression`, the largest slowdown against the active version;
            `budget_s`, seconds of timed runs.

    Returns:
        `golden_drift`, `latency_raw_ms` and its quantiles, `latency_unstable`, `ratio_to_active`.

    Raises:
        Failure: kind "model": its outputs differ, or it is too slow; "device": the measurement is unstable.
    """
    drift = _golden_drift(model, golden, session, lock)
    protocol = {**PROTOCOL, "max_spread": MAX_SPREAD, "budget_s": limits.get("budget_s", BUDGET_S)}
    found = time_(model, active, session, lock, protocol)
    _refuse_slow(found, limits)
    ratio = {"ratio_to_active": found["ratio"]} if "ratio" in found else {}
    return {
        "golden_drift": drift,
        "latency_raw_ms": found["p50_ms"],
        "latency_raw_ms_p90": found["p90_ms"],
        "latency_raw_ms_p99": found["p99_ms"],
        "latency_unstable": found["unstable"],
        **ratio,
    }


def _golden_drift(model: str, golden: Path, session: JsonObject, lock: JsonObject) -> float:
    """The largest difference of a channel, as a share of its tolerance."""
    import numpy as np

    from mlflow_nas.board.runtime.drift import worst_drift

    try:
        with np.load(golden) as stored:
            images, outputs, allowed = stored["images"], stored["outputs"], stored["allowed"]
    except (OSError, ValueError, KeyError) as error:
        raise Failure(
            "model", f"the golden samples can't be read: {error}; publish the version again"
        ) from error
    with device_lock(**lock):
        network, _ = load(model, **session)
        taken = image_input(network)
        floats: Any = images.astype(np.float32) / np.float32(255)
        found = [network.run(None, taken.feed(floats[i : i + 1]))[0] for i in range(len(floats))]
    worst = worst_drift(device=np.concatenate(found), host=outputs, allowed=allowed)
    if not worst.is_allowed:
        raise Failure(
            "model",
            f"the golden samples give other outputs than on the host: channel {worst.channel} differs by "
            f"{worst.found:.3g} (root mean square), allowed is {worst.allowed:.3g}; compare the "
            "versions of ONNX Runtime",
        )
    return worst.found / worst.allowed


def _refuse_slow(found: JsonObject, limits: JsonObject) -> None:
    limit, regression = limits.get("latency_ms"), limits.get("regression", MAX_REGRESSION)
    problem = ""
    if limit is not None and found["p50_ms"] > limit:
        problem = f"it takes {found['p50_ms']:.3g} ms, latency_ms is {limit:g}: publish a faster version"
    elif regression is not None and found.get("ratio", 0.0) > 1 + regression:
        problem = (
            f"it takes {found['ratio']:.2f} times the active version's time, regression allows "
            f"{1 + regression:.2f} times: publish a faster version, or raise the limit"
        )
    if problem and found["unstable"]:
        cause = found["unstable_cause"]
        raise Failure("device", f"{problem}; but the measurement is unstable ({cause}) and is repeated")
    if problem:
        raise Failure("model", problem)

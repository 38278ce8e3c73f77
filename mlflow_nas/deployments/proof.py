"""What a version must show on the device before it becomes the active one."""

import math
from typing import Any

from mlflow_nas.board import Active, DeviceBoard
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.release import Release
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.types import Latency

__all__ = ["prove"]


def prove(
    board: DeviceBoard, path: str, release: Release, *, active: Active | None, options: Options
) -> dict[str, Any]:
    """Run the golden samples on the device and compare, then measure and hold it against the limits.

    An emulated device measures nothing: its times are no latencies.

    Args:
        board: the device.
        path: of the version's file there.
        release: the version.
        active: what it would replace.
        options: how strict this is.

    Returns:
        What was seen, for the manifest: `golden_drift`, `latency_ms`, `latency_ms_p90`, `latency_ms_p99`,
        `latency_unstable`, `ratio_to_active`; what was not looked at is absent.

    Raises:
        CandidateError: the device computes something else, or takes longer than a limit allows.
        BoardError: the device failed, or its measurement can't be trusted and is over a limit.
        ConfigError: the golden samples can't be read and nothing forces.
    """
    seen = _golden(board, path, release, force=options.force)
    if board.device.emulated:
        return seen
    rival = active if active and active.whole and active.manifest["sha256"] != release.sha256 else None
    latency = board.measure_there(path, baseline=rival.path if rival else None)
    _refuse_slow(board, latency, release, rival=rival, max_regression=options.max_regression)
    return {**seen, **_words(latency)}


def _golden(board: DeviceBoard, path: str, release: Release, *, force: bool) -> dict[str, Any]:
    from mlflow_nas.export import read_golden, worst_drift

    if release.golden is None:
        return {}
    try:
        golden = read_golden(release.golden)
    except ConfigError:
        if force:
            return {}
        raise
    outputs = board.infer_there(path, golden.images, sha256=release.sha256)
    worst = worst_drift(device=outputs, host=golden.outputs, allowed=golden.allowed)
    if not worst.is_allowed:
        raise CandidateError(
            f"On {board.name} the golden samples give other outputs than on the host: channel "
            f"{worst.channel} differs by {worst.found:.3g} (root mean square), allowed is "
            f"{worst.allowed:.3g}. Compare ONNX Runtime's versions and providers: "
            f"mlflow_nas doctor --board {board.name}."
        )
    return {"golden_drift": worst.found / worst.allowed}


def _refuse_slow(
    board: DeviceBoard,
    latency: Latency,
    release: Release,
    *,
    rival: Active | None,
    max_regression: float | None,
) -> None:
    said = f"Version {release.version} of {release.model} takes {latency.p50_ms:.3g} ms on {board.name}"
    limit = board.device.latency_limit_ms
    if limit is not None and latency.p50_ms > limit:
        _refuse(latency, f"{said}, latency_limit_ms is {limit:g}: deploy a faster version (@fastest)")
    if rival is None or latency.ratio is None or max_regression is None:
        return
    if latency.ratio > 1 + max_regression:
        _refuse(
            latency,
            f"{said}, {latency.ratio:.2f} times the active version {rival.manifest.get('version')}, "
            f"max_regression allows {1 + max_regression:.2f} times: deploy a faster version, or give "
            f"max_regression={math.ceil(10 * (latency.ratio - 1)) / 10}",
        )


def _refuse(latency: Latency, sentence: str) -> None:
    if latency.unstable:
        raise BoardError(
            f"{sentence}. But the measurement varies by {latency.spread:.1%}: see what else the device is "
            "doing, then repeat."
        )
    raise CandidateError(f"{sentence}.")


def _words(latency: Latency) -> dict[str, Any]:
    measured = {
        "latency_ms": latency.p50_ms,
        "latency_ms_p90": latency.p90_ms,
        "latency_ms_p99": latency.p99_ms,
        "latency_unstable": latency.unstable,
    }
    return measured if latency.ratio is None else {**measured, "ratio_to_active": latency.ratio}

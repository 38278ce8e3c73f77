"""The checks of a version before the switch: preflight on this machine, verify on the device."""

import math
from collections.abc import Collection
from typing import Any

from mlflow_nas.board import Active, DeviceBoard, Manifest
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.release import Release
from mlflow_nas.errors import BoardError, CandidateError, ConfigError
from mlflow_nas.types import Device, Latency

__all__ = ["check_release", "preflight", "refuse_less_accurate", "verify"]


def preflight(release: Release, device: Device, *, measured_on: Collection[str], force: bool) -> None:
    """Refuse a version that was not measured, or that is too large for the device, before it is sent.

    Args:
        release: the version.
        device: the target.
        measured_on: boards whose measurement counts for the device.
        force: skip everything but the size limit.

    Raises:
        ConfigError: value, bound and remedy.
    """
    version = _shown(release)
    size, limit = release.file.stat().st_size, device.max_model_bytes
    if limit is not None and size > limit:
        raise ConfigError(
            f"{version} has {size} bytes, max_model_bytes of {device.name} is {limit}: deploy a smaller "
            "model, or raise the limit in the inventory."
        )
    if force:
        return
    check_release(release)
    if release.board not in measured_on:
        search = f"search with --board {device.name}, or"
        remedy = "no search measures on an emulated board, so" if device.emulated else search
        raise ConfigError(
            f"{version} was measured on the board {release.board}, not on {device.name}: {remedy} "
            "give force=true."
        )


def check_release(release: Release) -> None:
    """Refuse a version that is not int8, was not measured, may hold no alias, or has no golden samples.

    Raises:
        ConfigError: value, bound and remedy.
    """
    version = _shown(release)
    if release.precision != "int8":
        raise ConfigError(f"{version} is {release.precision}, not int8: quantize it, or give force=true.")
    if release.board is None:
        raise ConfigError(f"{version} has no measured latency: measure it, or give force=true.")
    if release.refused is not None:
        raise ConfigError(f"{version} is refused: {release.refused}. Deploy another one, or give force=true.")
    if release.golden is None:
        raise ConfigError(f"{version} has no golden samples: log the model again, or give force=true.")


def _shown(release: Release) -> str:
    return f"Version {release.version} of {release.model}"


def refuse_less_accurate(release: Release, active: Manifest, *, max_drop: float | None) -> None:
    """Refuse a version that is less accurate than the active one, both measured on the same data.

    Args:
        release: the version.
        active: manifest of the active version.
        max_drop: largest drop; None for any.

    Raises:
        ConfigError: value, bound and remedy.
    """
    data = release.manifest.get("dataset")
    if max_drop is None or data is None or active.get("dataset") != data:
        return
    name = release.accuracy
    new, old = (manifest.get("metrics", {}).get(name) for manifest in (release.manifest, active))
    if new is not None and old is not None and new < old - max_drop:
        raise ConfigError(
            f"Version {release.version} of {release.model} has {name} {new:.3g}, the active version "
            f"{active.get('version')} {old:.3g}: max_drop allows {max_drop:g} less. Deploy a more accurate "
            f"version, or give max_drop={math.ceil(100 * (old - new)) / 100}."
        )


def verify(
    board: DeviceBoard, path: str, release: Release, *, active: Active | None, options: Options
) -> dict[str, Any]:
    """Run the golden samples on the device and compare, then measure and check the limits.

    An emulated device measures nothing: its times are no latencies.

    Args:
        board: the device.
        path: of the version's file on it.
        release: the version.
        active: the active version, alternately with which the new one is timed.
        options: `force` and `max_regression`.

    Returns:
        The findings, for the manifest: `golden_drift`, `latency_raw_ms`, `latency_raw_ms_p90`,
        `latency_raw_ms_p99` (wall clock on this device), `latency_unstable`, `ratio_to_active`; unchecked
        ones are absent.

    Raises:
        CandidateError: the device's outputs differ, or the version is slower than a limit.
        BoardError: the device failed, or an unstable measurement is over a limit.
        ConfigError: the golden samples can't be read, without force.
    """
    found = _compare_golden(board, path, release, force=options.force)
    if board.device.emulated:
        return found
    rival = active if active and active.intact and active.manifest["sha256"] != release.sha256 else None
    latency = board.measure_remote(path, reference=rival.path if rival else None)
    _refuse_slow(board, latency, release, rival=rival, max_regression=options.max_regression)
    found |= {
        "latency_raw_ms": latency.p50_ms,
        "latency_raw_ms_p90": latency.p90_ms,
        "latency_raw_ms_p99": latency.p99_ms,
        "latency_unstable": latency.unstable,
    }
    return found if latency.ratio is None else {**found, "ratio_to_active": latency.ratio}


def _compare_golden(board: DeviceBoard, path: str, release: Release, *, force: bool) -> dict[str, Any]:
    from mlflow_nas.runtime import read_golden, worst_drift

    if release.golden is None:
        return {}
    try:
        golden = read_golden(release.golden)
    except ConfigError:
        if force:
            return {}
        raise
    outputs = board.infer_remote(path, golden.images, sha256=release.sha256)
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
    measured = f"Version {release.version} of {release.model} takes {latency.p50_ms:.3g} ms on {board.name}"
    limit = board.device.latency_limit_ms
    if limit is not None and latency.p50_ms > limit:
        _refuse(latency, f"{measured}, latency_limit_ms is {limit:g}: deploy a faster version (@fastest)")
    if rival is None or latency.ratio is None or max_regression is None:
        return
    if latency.ratio > 1 + max_regression:
        _refuse(
            latency,
            f"{measured}, {latency.ratio:.2f} times the active version {rival.manifest.get('version')}, "
            f"max_regression allows {1 + max_regression:.2f} times: deploy a faster version, or give "
            f"max_regression={math.ceil(10 * (latency.ratio - 1)) / 10}",
        )


def _refuse(latency: Latency, problem: str) -> None:
    if latency.unstable:
        raise BoardError(
            f"{problem}. But the measurement is unstable ({latency.unstable_cause}): check the device's "
            "load, then repeat."
        )
    raise CandidateError(f"{problem}.")

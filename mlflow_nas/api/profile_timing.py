"""What `profile` times beside the nodes: more threads, and a load without a pause."""

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from mlflow_nas.config import ProfileConfig, find_device

if TYPE_CHECKING:
    from mlflow_nas.board import DeviceBoard

__all__ = ["time_scaling", "timing_metrics"]

_EDGE = 10
"""The first and the last tenth of a sustained load are compared."""


def time_scaling(
    config: ProfileConfig, files: Mapping[str, Path], on_step: Callable[[str], None]
) -> dict[str, Any]:
    """`threads` and `sustained` of a `ProfileResult`, as the configuration asks for them.

    Args:
        config: of the command.
        files: precision to file; the last one is run without a pause.
        on_step: called with the name of each step.

    Raises:
        CandidateError: the board refuses a file; BoardError: the hardware failed.
    """
    from mlflow_nas.board import get_board

    device = find_device(config.board.name, config.board.inventory)
    board = get_board(device, threads=config.board.threads)
    found: dict[str, Any] = {}
    try:
        with board.client.staged(*files.values()) as paths:
            if config.timing.threads:
                on_step(f"time {', '.join(map(str, config.timing.threads))} threads on {device.name}")
                rows = board.threads_remote(paths, threads=config.timing.threads)
                found["threads"] = tuple(_row(row, files) for row in rows)
            if config.timing.sustained_s:
                on_step(f"run {config.timing.sustained_s:g} s without a pause on {device.name}")
                windows = _sustained(board, paths[-1], config.timing.sustained_s)
                found["sustained"] = {"precision": list(files)[-1], **windows}
    finally:
        board.close()
    return found


def _row(row: Mapping[str, Any], files: Mapping[str, Path]) -> dict[str, Any]:
    times = zip(files, row["ms"], strict=True)
    return {"threads": row["threads"], **{f"{precision}_ms": ms for precision, ms in times}}


def _sustained(board: "DeviceBoard", path: str, seconds: float) -> dict[str, Any]:
    from mlflow_nas.board import throttling

    answer = board.sustained_remote(path, seconds=seconds)
    rates, facts = [window["runs_per_s"] for window in answer["windows"]], answer["facts"]
    edge = max(len(rates) // _EDGE, 1)
    first, last = fmean(rates[:edge]), fmean(rates[-edge:])
    after = {name.removesuffix("_after"): value for name, value in facts.items() if name.endswith("_after")}
    return {
        "first_runs_per_s": first,
        "runs_per_s": last,
        "drop": 1 - last / first,
        "throttling": throttling(facts, after),
        "windows": answer["windows"],
    }


def timing_metrics(
    threads: tuple[Mapping[str, Any], ...], sustained: Mapping[str, Any] | None
) -> dict[str, float]:
    """Metrics of a profile's run."""
    found = {
        f"profile_{name.removesuffix('_ms')}_threads_{row['threads']}_ms": float(ms)
        for row in threads
        for name, ms in row.items()
        if name != "threads"
    }
    if sustained is not None:
        found |= {f"profile_sustained_{name}": float(sustained[name]) for name in ("runs_per_s", "drop")}
    return found

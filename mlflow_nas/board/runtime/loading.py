"""What an application pays before its second inference: load time, first inference, peak memory."""

from __future__ import annotations

import time
from pathlib import Path

from mlflow_nas.board.runtime.facts import facts, library_of
from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.session import open_session, refusals

__all__ = ["first_load"]

_KIB = 1024


def first_load(model: str, session: JsonObject, root: str = "/") -> JsonObject:
    """Load a model and run it once: `load_ms`, `first_run_ms`, and `peak_memory_bytes` where Linux tells it.

    The memory is what the process has at most in RAM while it loads and runs the model, beyond what it had
    before, the library's own code excluded. Pages of a memory that an earlier model has freed would not
    count, so this comes before any other model.

    Args:
        model: path of the file.
        session: the arguments of `session.load`.
        root: of the file system, for tests.
    """
    facts(library=library_of(model))  # imports the library, which is no part of a load
    process = Path(root, "proc/self")
    before = _reset_peak(process)
    start = time.perf_counter()
    run = open_session(model, **session)[1]
    loaded = time.perf_counter()
    with refusals(model):
        run()
    ran = time.perf_counter()
    answer: JsonObject = {"load_ms": 1000 * (loaded - start), "first_run_ms": 1000 * (ran - loaded)}
    peak = _status_kib(process, "VmHWM")
    if before is not None and peak is not None:
        answer["peak_memory_bytes"] = _KIB * max(peak - before, 0)
    return answer


def _reset_peak(process: Path) -> int | None:
    """Set the process's peak to its present memory, KiB; None where the system has no such thing."""
    try:
        (process / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _status_kib(process, "VmRSS")


def _status_kib(process: Path, name: str) -> int | None:
    try:
        lines = (process / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return None

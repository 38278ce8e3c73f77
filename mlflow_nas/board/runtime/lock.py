"""One measurement at a time: a lock on the device that dies with its holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure

__all__ = ["exclusive", "holder_of"]

PAUSE_S = 0.2


@contextmanager
def exclusive(path: str, holder: str, wait_s: float) -> Iterator[None]:
    """Hold the device; wait for a holder that is at work.

    The system frees the lock when the process ends, however it ends. The file keeps the process id and the
    name of the last holder.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8") as file:  # noqa: PTH123 - "a+" neither empties nor needs the file
        end = time.monotonic() + wait_s
        while not _taken(file.fileno()):
            if time.monotonic() > end:
                raise Failure("device", _busy(path, wait_s))
            time.sleep(PAUSE_S)
        file.truncate(0)
        file.write(f"{os.getpid()} {holder}, since {time.strftime('%Y-%m-%d %H:%M:%S')} of its clock")
        file.flush()
        yield


def holder_of(path: str) -> str:
    """Process id, name and time of who measures on the device; empty when nobody does."""
    if not Path(path).is_file():
        return ""
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - as above
        return "" if _taken(file.fileno()) else file.read()


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: str, wait_s: float) -> str:
    process, _, holder = Path(path).read_text(encoding="utf-8").partition(" ")
    return (
        f"the device is measuring for {holder or 'somebody'} (process {process or 'unknown'} there); "
        f"it was not free within {wait_s:g} s: wait for that, or end it"
    )

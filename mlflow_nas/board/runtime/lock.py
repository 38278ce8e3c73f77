"""One measurement at a time: a lock on the device that the system frees when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.files import refuse_symlink

__all__ = ["device_lock", "lock_holder"]

PAUSE_S = 0.2


@contextmanager
def device_lock(path: str, holder: str, wait_s: float) -> Iterator[None]:
    """Hold the device exclusively; wait for another holder to finish.

    The file keeps the process id and the name of the last holder.
    """
    refuse_symlink(Path(path))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a+", encoding="utf-8", opener=_no_link) as file:
        end = time.monotonic() + wait_s
        while not _acquire(file.fileno()):
            if time.monotonic() > end:
                raise Failure("device", _busy(path, wait_s))
            time.sleep(PAUSE_S)
        file.truncate(0)
        file.write(f"{os.getpid()} {holder}, since {time.strftime('%Y-%m-%d %H:%M:%S')} of its clock")
        file.flush()
        yield


def lock_holder(path: str) -> str:
    """Process id, name and start of the running measurement; empty without one."""
    refuse_symlink(Path(path))
    if not Path(path).is_file():
        return ""
    with open(path, encoding="utf-8", opener=_no_link) as file:
        return "" if _acquire(file.fileno()) else file.read()


def _no_link(path: str, flags: int) -> int:
    """Open a file itself, never the target of a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _busy(path: str, wait_s: float) -> str:
    process, _, holder = Path(path).read_text(encoding="utf-8").partition(" ")
    return (
        f"the device is measuring for {holder or 'an unknown holder'} (its process {process or 'unknown'}); "
        f"it was not free within {wait_s:g} s: wait for that measurement, or end it"
    )

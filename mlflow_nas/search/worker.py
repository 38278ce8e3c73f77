"""Workers: their identity, their heartbeat, and the detection of dead ones."""

import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["GRACE_S", "StaleWatch", "Worker", "heartbeat", "this_worker"]

BEAT_S = 10.0
GRACE_S = 60.0
"""A worker on another machine is considered dead when its heartbeat does not change for longer."""
_CHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that evaluates trials.

    Attributes:
        name: unique.
        place: machine, boot and process namespace, in which the process id is unique.
        pid: process id.
        started: when the process started, in the clock ticks of its place; 0 where that is unknown.
    """

    name: str
    place: str
    pid: int
    started: int

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


@cache
def this_worker() -> Worker:
    """This process."""
    pid = os.getpid()
    name = f"{socket.gethostname()}-{pid}-{uuid.uuid4().hex[:6]}"
    return Worker(name=name, place=_place(), pid=pid, started=_started(pid) or 0)


def _place() -> str:
    boot, namespace = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return f"{socket.gethostname()} {boot} {namespace}"


def _started(pid: int) -> int | None:
    """Clock ticks after boot at which a process started; None where there is no such process."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def _is_dead_here(owner: Mapping[str, Any]) -> bool:
    """Whether the owner was a process of this place that is gone."""
    if owner.get("place") != this_worker().place:
        return False
    return _started(int(owner["pid"])) != int(owner["started"])


class StaleWatch:
    """Detects dead owners: those of this machine at once, others by heartbeats that stopped.

    Clocks of machines differ, so only changes count, timed by this process.

    Args:
        grace_s: seconds without a change after which an owner is considered dead.
        clock: seconds, monotonic.
    """

    def __init__(self, *, grace_s: float = GRACE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._grace_s, self._clock = grace_s, clock
        self._seen: dict[object, tuple[object, float]] = {}

    def is_stale(self, what: object, owner: Mapping[str, Any] | None, beat: object) -> bool:
        """Whether an owned object may be taken over.

        Args:
            what: the owned object, such as a trial's number.
            owner: a worker as JSON; None for no owner, as between a claim's two writes.
            beat: the owner's latest heartbeat.
        """
        if owner is not None and _is_dead_here(owner):
            return True
        now = self._clock()
        mark = (owner and owner.get("name"), beat)
        known, since = self._seen.get(what, (None, now))
        if known != mark:
            self._seen[what] = (mark, now)
            return False
        return now - since >= self._grace_s


@contextmanager
def heartbeat(beat: Callable[[int], bool], *, parent: int | None = None) -> Iterator[threading.Event]:
    """Call `beat` regularly from a thread; the event is set once it returns False: the trial is lost.

    Args:
        beat: takes the number of the beat; False where another worker has taken over. Its errors mean a
            storage that does not answer, and it is tried again.
        parent: process without which this one ends, as by SIGTERM; None for none.
    """
    lost, ended = threading.Event(), threading.Event()

    def keep_beating() -> None:
        number, due = 1, time.monotonic() + BEAT_S
        while not ended.wait(_CHECK_S):
            if parent is not None and os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if time.monotonic() >= due:
                due = time.monotonic() + BEAT_S
                with suppress(Exception):
                    if not beat(number):
                        lost.set()
                        return
                number += 1

    thread = threading.Thread(target=keep_beating, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        ended.set()
        thread.join(timeout=5)

"""A durable, ordered queue of events in a folder, which outlives its process."""

import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["Entry", "Outbox", "abandoned"]

_log = logging.getLogger(__name__)

CONTEXT = "context.json"
EVENTS = "[0-9]*.json"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event: its number in the queue, its content, and its files by their own names."""

    number: int
    event: Mapping[str, Any]
    files: tuple[Path, ...]


class Outbox:
    """One process's queue: OUTBOX/WORKER/NUMBER.json, with the event's files in NUMBER.files/.

    An event is complete once its file has its name. A live process holds OUTBOX/WORKER.lock. An event that
    can't be written (a full disk) is dropped with one warning.
    """

    def __init__(self, folder: Path, context: Mapping[str, object]) -> None:
        """Open the queue.

        Args:
            folder: this process's own; created with the first event.
            context: JSON values for the delivery of the events.
        """
        self.folder = folder
        self.context: Mapping[str, Any] = context
        self._lock = FileLock(folder.with_name(f"{folder.name}.lock"), thread_local=False)
        self._guard = Lock()
        self._warned = False
        self._next = 1
        self._waiting: deque[int] = deque()
        self._in_memory: dict[int, Mapping[str, Any]] = {}

    @classmethod
    def adopt(cls, folder: Path) -> "Outbox | None":
        """Open the queue of a dead process; None when it is alive, or another process was faster."""
        box = cls(folder, {})
        try:
            box._lock.acquire(blocking=False)
            box.context = json.loads((folder / CONTEXT).read_text(encoding="utf-8"))
        except Timeout:
            return None
        except (OSError, ValueError):
            box.close()
            return None
        box._waiting.extend(sorted(int(path.stem) for path in folder.glob(EVENTS)))
        return box

    def __len__(self) -> int:
        return len(self._waiting)

    def append(
        self, event: Mapping[str, object], files: Sequence[Path] = (), *, in_memory: bool = False
    ) -> None:
        """Add an event at the end.

        Args:
            event: JSON values.
            files: stored with it (linked, else copied), so that the originals may be removed.
            in_memory: until `close`, which stores it where it still waits: a kill loses it.
        """
        with self._guard:
            number, self._next = self._next, self._next + 1
            try:
                self._open()
                self._keep(number, files)
                whole = {**event, "files": [path.name for path in files]}
                if in_memory:
                    self._in_memory[number] = whole
                else:
                    _write(self._path(number), whole)
            except OSError as fault:
                self._discard(number)
                if not self._warned:
                    _log.warning(
                        "%s can't be written (%s): lost events are written to MLflow at the command's end; "
                        "free some space, or set MLFLOW_NAS_WORK to another folder",
                        self.folder,
                        fault.strerror,
                    )
                self._warned = True
                return
            self._waiting.append(number)

    def entries(self) -> Iterator[Entry]:
        """The waiting events, the oldest first; an event that can't be read is dropped."""
        for number in list(self._waiting):
            try:
                event = self._in_memory.get(number) or json.loads(
                    self._path(number).read_text(encoding="utf-8")
                )
            except (OSError, ValueError):
                self.remove(number)
                continue
            folder = self._files(number)
            yield Entry(number, event, tuple(folder / name for name in event["files"]))

    def remove(self, number: int) -> None:
        """Remove a delivered event."""
        with self._guard:
            self._discard(number)
            self._waiting.remove(number)

    def close(self) -> None:
        """Release the folder; an empty one is removed."""
        for number, event in self._in_memory.items():
            with suppress(OSError):
                _write(self._path(number), event)
        if self._lock.is_locked and not self._waiting:
            shutil.rmtree(self.folder, ignore_errors=True)
            Path(self._lock.lock_file).unlink(missing_ok=True)
        self._lock.release()

    def _open(self) -> None:
        if self._lock.is_locked:
            return
        self._lock.acquire(blocking=False)  # before the context: a queue without one is not adopted
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / CONTEXT, self.context)

    def _keep(self, number: int, files: Sequence[Path]) -> None:
        for path in files:
            kept = self._files(number) / path.name
            kept.parent.mkdir(exist_ok=True)
            try:
                os.link(path, kept)
            except OSError:  # another file system
                shutil.copyfile(path, kept)

    def _discard(self, number: int) -> None:
        if self._in_memory.pop(number, None) is not None:
            return
        with suppress(OSError):  # a file that stays is delivered twice, which changes nothing
            self._path(number).unlink(missing_ok=True)
        if (files := self._files(number)).is_dir():
            shutil.rmtree(files, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.json"

    def _files(self, number: int) -> Path:
        return self.folder / f"{number:08d}.files"


def abandoned(root: Path, known: Collection[Path]) -> Iterator[Outbox]:
    """Adopt the queues of dead processes below a folder, the oldest first, without the known ones."""
    for folder in sorted(context.parent for context in root.glob(f"*/{CONTEXT}")):
        if folder not in known and (box := Outbox.adopt(folder)) is not None:
            yield box


def _write(path: Path, content: Mapping[str, object]) -> None:
    """Write JSON; what a kill leaves half written is no JSON, and is passed over."""
    try:
        path.write_bytes(json.dumps(content).encode())
    except OSError:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise

"""The step cache: a step's output is a folder, named by the fingerprint of the step's inputs."""

import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from mlflow_nas.errors import MachineError

__all__ = ["Entry", "StepCache", "file_digest", "fingerprint"]

_log = logging.getLogger(__name__)

Make = Callable[[Path], Mapping[str, Any]]
"""Writes files into the folder that it is given, and returns plain JSON values."""
Fetch = Callable[[str, str, Path], bool]
"""Step and fingerprint: downloads an entry into a folder; False where there is none."""

_ENTRY = "entry.json"
_PRUNE_EVERY = 100
"""Entries made by one process; adding up all sizes is too slow to be done for each."""
_KEEP = "keep"
"""A step returns {"keep": False} for output that is not to be reused, such as an unstable latency."""


def fingerprint(**inputs: object) -> str:
    """SHA-256 of inputs as canonical JSON, hexadecimal; other values count by their `repr`."""
    text = json.dumps(inputs, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """The output of a step: its folder, the values that it returned, and its duration.

    Attributes:
        folder: holds the files.
        values: plain JSON values.
        seconds: wall-clock, of the call that made it.
        digests: name of each file to its SHA-256.
        fingerprint: of the step's inputs.
    """

    folder: Path
    values: Mapping[str, Any]
    seconds: float
    digests: Mapping[str, str]
    fingerprint: str

    def file(self, name: str) -> Path:
        """The path of one of its files."""
        return self.folder / name


class StepCache:
    """Entries of steps on disk, the least recently used removed beyond a size.

    Several processes may share it: an entry appears whole, by a rename, and a step that is being computed
    holds a lock that the system releases when its process dies. The next process continues in its unfinished
    folder, such as a training from its checkpoint.

    Args:
        folder: of the entries, as STEP/FINGERPRINT.
        limit_bytes: size beyond which `make` prunes from time to time.
        fetch: called for a missing entry; None for no source.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = 10 * 1024**3, fetch: Fetch | None = None) -> None:
        self.folder, self.limit_bytes, self.fetch = folder, limit_bytes, fetch
        self._made = 0

    def get(self, step: str, key: str) -> Entry | None:
        """The entry of a step; None where there is none. A damaged one is removed."""
        path = self._path(step, key)
        try:
            kept = json.loads((path / _ENTRY).read_text(encoding="utf-8"))
            entry = Entry(path, kept["values"], kept["seconds"], kept["files"], key)
            damaged = [name for name, sha in entry.digests.items() if file_digest(path / name) != sha]
        except FileNotFoundError as missing:
            if not path.exists():
                return None
            damaged = [Path(missing.filename).name]
        except (OSError, ValueError, KeyError, TypeError):
            damaged = [_ENTRY]
        if damaged:
            _log.warning("The cached step %s is damaged (%s): it is computed again.", path, damaged[0])
            shutil.rmtree(path, ignore_errors=True)
            return None
        os.utime(path / _ENTRY)  # the time of the last use
        return entry

    def find(self, step: str, key: str) -> Entry | None:
        """The entry of a step, fetched where it is missing; None where there is none.

        Raises:
            MachineError: the disk is full or can't be written.
        """
        return self.get(step, key) or self._fetched(step, key)

    def make(self, step: str, key: str, make: Make) -> Entry:
        """The entry of a step, computed now where it is missing and can't be fetched.

        Raises:
            MachineError: the disk is full or can't be written; and what `make` raises.
        """
        if found := self.find(step, key):
            return found
        with _disk_errors(self.folder), self._unfinished(step, key) as folder:
            start = time.perf_counter()
            values = dict(make(folder))
            keep = values.pop(_KEEP, True)
            seconds = float(values.pop("seconds", time.perf_counter() - start))
            entry = self._finish(folder, step, key if keep else uuid.uuid4().hex, values, seconds)
        self._made += 1
        if self._made % _PRUNE_EVERY == 0:
            self.prune(self.limit_bytes, spare=entry.folder)
        return entry

    def _finish(self, folder: Path, step: str, key: str, values: dict[str, Any], seconds: float) -> Entry:
        files = {str(one.relative_to(folder)): file_digest(one) for one in _files(folder)}
        text = json.dumps({"values": values, "seconds": seconds, "files": files})
        (folder / _ENTRY).write_text(text, encoding="utf-8")
        path = self._path(step, key)
        try:
            folder.rename(path)
        except OSError:
            if not path.exists():
                raise
            shutil.rmtree(folder, ignore_errors=True)  # another process was faster
        return Entry(path, values, seconds, files, key)

    def _fetched(self, step: str, key: str) -> Entry | None:
        if self.fetch is None:
            return None
        target = self._path(step, key)
        folder = target.with_name(f"{key}.{uuid.uuid4().hex}")
        with _disk_errors(self.folder):
            folder.mkdir(parents=True)
            try:
                if self.fetch(step, key, folder):
                    folder.rename(target)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        return self.get(step, key)

    @contextmanager
    def _unfinished(self, step: str, key: str) -> Iterator[Path]:
        """The folder of this fingerprint to work in, or a new one while another process works there."""
        path = self._path(step, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f"{key}.lock"))
        folder = path.with_name(f"{key}.unfinished")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            folder = path.with_name(f"{key}.{uuid.uuid4().hex}")
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        except BaseException:  # an interrupted training too
            if not (lock.is_locked and any(_files(folder))):
                shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            if lock.is_locked:
                Path(lock.lock_file).unlink(missing_ok=True)  # first: filelock refuses a deleted file
                lock.release()

    def _path(self, step: str, key: str) -> Path:
        return self.folder / step / key

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Step to its number of entries and their bytes, unfinished ones included."""
        steps = sorted(one for one in self.folder.glob("*") if one.is_dir())
        return {
            step.name: (len(folders), sum(map(_size, folders)))
            for step in steps
            if (folders := [one for one in step.iterdir() if one.is_dir()])
        }

    def prune(self, limit_bytes: int, *, spare: Path | None = None) -> int:
        """Remove the least recently used entries until the rest is within a size.

        Args:
            limit_bytes: of all entries together.
            spare: an entry that stays.

        Returns:
            The number of removed entries.
        """
        used = sorted((_last_used(one), _size(one), one) for one in self.folder.glob("*/*") if one.is_dir())
        total, removed = sum(size for _, size, _ in used), 0
        for _, size, path in used:
            if total <= limit_bytes:
                break
            if path != spare and not _is_locked(path):
                shutil.rmtree(path, ignore_errors=True)
                total, removed = total - size, removed + 1
        return removed


def _files(folder: Path) -> Iterator[Path]:
    return (one for one in sorted(folder.rglob("*")) if one.is_file() and one.name != _ENTRY)


def _size(folder: Path) -> int:
    total = 0
    for one in folder.rglob("*"):
        try:
            total += one.stat().st_size
        except OSError:  # removed by another process meanwhile
            continue
    return total


def _last_used(folder: Path) -> float:
    try:
        return (folder / _ENTRY).stat().st_mtime
    except OSError:
        return folder.stat().st_mtime if folder.exists() else 0.0


def _is_locked(folder: Path) -> bool:
    """Whether a process works in an unfinished folder."""
    lock_file = folder.with_suffix(".lock")
    if not lock_file.exists():
        return False
    try:
        with FileLock(lock_file, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"The step cache in {folder} can't be written: {error.strerror or error}. Free some space "
            "(`mlflow_nas cache prune`), or set MLFLOW_NAS_WORK to another folder, then rerun the command."
        ) from error

"""Optuna's storage of a study: a journal file that survives a kill and a full disk, or a database."""

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from mlflow_nas.errors import ConfigError, MachineError
from mlflow_nas.redact import redact

__all__ = ["open_storage", "storage_name"]

_log = logging.getLogger(__name__)


class _SystemLock:
    """A lock that the operating system releases when its process dies.

    Optuna's own are files, which a killed process leaves behind: the next one waits for half a minute.
    """

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()


class _Journal(JournalFileBackend):
    """A journal whose last line may be torn by a full disk or a power cut: a torn line is removed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # Not Optuna's own ".lock": a reader such as optuna-dashboard would wait for it, and then delete it.
        lock = _SystemLock(path.with_name(f"{path.name}.flock"))
        super().__init__(str(path), lock_obj=lock)  # type: ignore[arg-type]  # the base class is private

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append whole lines, or nothing.

        Raises:
            MachineError: the disk is full, or the file can't be written.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        self._lock.acquire()
        try:
            self._append(lines.encode())
        except OSError as error:
            raise MachineError(
                f"The study's journal {self._path} can't be written: {error.strerror}. Free some space, then "
                "rerun the command: the study continues."
            ) from error
        finally:
            self._lock.release()

    def _append(self, lines: bytes) -> None:
        with self._path.open("r+b") as file:
            whole = self._end_of_whole_lines(file)
            file.truncate(whole)
            try:
                file.seek(whole)
                file.write(lines)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(whole)
                raise

    def _end_of_whole_lines(self, file: Any) -> int:
        end = int(file.seek(0, os.SEEK_END))
        if end == 0:
            return 0
        file.seek(end - 1)
        if file.read(1) == b"\n":
            return end
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        _log.warning(
            "The last line of the journal %s was torn (a full disk, a power cut): %d bytes are removed.",
            self._path,
            end - whole,
        )
        return int(whole)


def storage_name(storage: str | None, folder: Path) -> str:
    """The database's URL without its password, or the path of the journal file.

    Args:
        storage: as the user gave it.
        folder: of the study.
    """
    return redact(storage) if storage and "://" in storage else str(storage or folder / "optuna.journal")


def open_storage(storage: str | None, folder: Path) -> BaseStorage:
    """Optuna's storage: a database URL, a journal file, or by default a journal file in the study's folder.

    Raises:
        ConfigError: the database or the file can't be opened, or a driver is missing.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage and "://" in storage:
        return _open_database(storage)
    path = Path(storage_name(storage, folder))
    if path.is_dir():
        raise ConfigError(f"The storage {path} is a folder: give a journal file, or a database URL.")
    with _readable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(_Journal(path))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"The study's journal {path} can't be opened: {error.strerror}. Give another --storage, or set "
            "MLFLOW_NAS_WORK to a folder that can be written."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is no journal of Optuna, or damaged: {str(error)[:100]}. Restore it from a backup, or "
            "give another --storage."
        ) from error


def _open_database(url: str) -> RDBStorage:
    try:
        return _created_database(url)
    except (ImportError, SQLAlchemyError, ValueError) as error:
        cause = redact(str(error).partition("\n")[0])
        raise ConfigError(
            f"The storage {redact(url)} can't be opened: {cause}. Give a URL that SQLAlchemy can open, "
            "such as postgresql+psycopg://USER@HOST/DATABASE with its driver installed, or a journal file."
        ) from error


def _created_database(url: str) -> RDBStorage:
    """Open or create: a worker whose tables another one creates at the same moment tries again."""
    for pause_s in (0.2, 0.5, 1.0, 2.0):
        try:
            return RDBStorage(url, engine_kwargs=_engine_settings(url))
        except SQLAlchemyError as error:
            if not (isinstance(error, IntegrityError) or "already exists" in str(error)):
                raise
            time.sleep(pause_s)
    return RDBStorage(url, engine_kwargs=_engine_settings(url))


def _engine_settings(url: str) -> dict[str, Any]:
    """SQLite waits for other writers; servers check a connection before they use it."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": 60}}
    return {"pool_pre_ping": True}

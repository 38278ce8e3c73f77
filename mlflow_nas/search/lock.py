"""One process per study on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mlflow_nas.errors import ConfigError

__all__ = ["study_lock"]


@contextmanager
def study_lock(folder: Path) -> Iterator[None]:
    """Hold the study's folder; the system frees it when the process dies.

    Raises:
        ConfigError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(
            f"Another process works on the study in {folder}: wait for it, or choose another --study."
        ) from None
    try:
        yield
    finally:
        lock.release()

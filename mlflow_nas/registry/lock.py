"""One writer at a time: MLflow has no compare-and-set for aliases."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError

__all__ = ["lock_file", "one_writer"]

WAIT_S = 60.0


@contextmanager
def one_writer(client: MlflowClient, model: str) -> Iterator[None]:
    """Exclude other processes of this user on this machine from writing the same registered model.

    Raises:
        RegistryError: another process held the lock for a minute.
    """
    path = lock_file(client, model)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=WAIT_S)
    except Timeout as fault:
        raise RegistryError(
            f"another process has been writing the registered model {model!r} for {WAIT_S:.0f} s "
            f"(lock {path}); wait for it to end, or stop it, and rerun the same command"
        ) from fault
    try:
        yield
    finally:
        lock.release()


def lock_file(client: MlflowClient, model: str) -> Path:
    """The lock of a registered model on this machine."""
    # Per user: in a shared /tmp other users' files can't be opened.
    folder = Path(tempfile.gettempdir()) / f"mlflow-nas-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    digest = hashlib.sha256(f"{client._registry_uri} {model}".encode()).hexdigest()[:16]
    return folder / f"registry-{digest}.lock"

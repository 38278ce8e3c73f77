"""Files that must be whole and on the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure

__all__ = ["sync", "verify"]


def verify(path: Path, sha256: str) -> None:
    """Refuse a file whose content is not what the hash says."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise Failure("device", f"{path} has sha256 {found}, not {sha256}: it is damaged, deploy it again")


def sync(path: Path) -> None:
    """Return when the file, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)

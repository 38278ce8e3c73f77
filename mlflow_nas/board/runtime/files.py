"""Files that must be whole and on the disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from mlflow_nas.board.runtime.failure import Answer, Failure

__all__ = ["is_whole", "refuse_link", "sweep", "sync", "verify", "write_json"]


LEFT_S = 24 * 3600.0


def refuse_link(path: Path) -> None:
    """Refuse a symbolic link: what is behind it may lie anywhere, and may be exchanged at any time."""
    if path.is_symlink():
        raise Failure("device", f"{path} is a symbolic link: remove it, deploy again")


def verify(path: Path, sha256: str) -> None:
    """Refuse a file whose content is not what the hash says."""
    refuse_link(path)
    if not path.is_file():
        raise Failure("device", f"{path} is missing on the device: deploy it again")
    found = _sha256(path)
    if found != sha256:
        raise Failure("device", f"{path} has sha256 {found}, not {sha256}: it is damaged, deploy it again")


def is_whole(path: Path, sha256: str) -> bool:
    """Whether `verify` accepts the file."""
    return path.is_file() and not path.is_symlink() and _sha256(path) == sha256


def sync(path: Path) -> None:
    """Return when the file, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what hosts that died have left in a folder of files on their way, a day later."""
    old = time.time() - LEFT_S
    for left in folder.glob("*"):
        if left.lstat().st_mtime > old:
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink()


def write_json(path: Path, content: Answer) -> Path:
    """A fresh file, on the disk when this returns; what was there goes, a link is not followed."""
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    sync(path)
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

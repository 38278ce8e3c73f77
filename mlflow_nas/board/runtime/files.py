"""Verified and durable files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from mlflow_nas.board.runtime.failure import Failure, JsonObject

__all__ = ["fsync", "is_intact", "refuse_symlink", "remove_stale", "verify_sha256", "write_json"]

STALE_S = 24 * 3600.0


def refuse_symlink(path: Path) -> None:
    """Refuse a symbolic link: its target may be anywhere, and may change at any time."""
    if path.is_symlink():
        raise Failure("device", f"{path} is a symbolic link: remove it, then repeat")


def verify_sha256(path: Path, sha256: str) -> None:
    """Refuse a file with another hash."""
    refuse_symlink(path)
    if not path.is_file():
        raise Failure("device", f"{path} is missing on the device: deploy it again")
    found = _sha256(path)
    if found != sha256:
        raise Failure("device", f"{path} has sha256 {found}, not {sha256}: it is damaged, deploy it again")


def is_intact(path: Path, sha256: str) -> bool:
    """Whether `verify_sha256` accepts the file."""
    return path.is_file() and not path.is_symlink() and _sha256(path) == sha256


def fsync(path: Path) -> None:
    """Return when the file, or the folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def remove_stale(folder: Path) -> None:
    """Remove uploads that are older than a day: their hosts died."""
    oldest = time.time() - STALE_S
    for path in folder.glob("*"):
        if path.lstat().st_mtime > oldest:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def write_json(path: Path, content: JsonObject) -> Path:
    """Write a new file, on the disk on return; an existing file is removed, a link is not followed."""
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    fsync(path)
    return path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

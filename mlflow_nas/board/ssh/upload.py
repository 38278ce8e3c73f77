"""A file on its way to a device: it goes on where an earlier attempt was cut."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import paramiko

__all__ = ["upload"]

Hash = Callable[[str], str]

_CHUNK = 32_768


def upload(files: paramiko.SFTPClient, source: Path, target: str, *, part: str, hash_of: Hash) -> bool:
    """Send what the device lacks of a file, verify it there, then let it appear under its name.

    A file that is there already, whole, takes no upload: nor does it need room on a full disk.

    Args:
        files: the device's file server.
        source: the file here.
        target: its absolute path there.
        part: the path there of what has arrived so far.
        hash_of: sha256 of a file there; FileNotFoundError when it can't be read.

    Returns:
        False when it arrived damaged, or another search brings the same file right now.

    Raises:
        OSError: the device can't keep it.
    """
    content = source.read_bytes()
    if _is_there(files, target, content, hash_of):
        return True
    for path in (part, target):
        _make_folder(files, PurePosixPath(path).parent)
    try:
        _send(files, content, part, hash_of)
        whole = hash_of(part) == hashlib.sha256(content).hexdigest()
        files.posix_rename(part, target) if whole else files.remove(part)
    except (FileNotFoundError, FileExistsError):
        return False
    return whole


def _send(files: paramiko.SFTPClient, content: bytes, part: str, hash_of: Hash) -> None:
    """Send what the device does not have yet of a file.

    A part is never emptied: who else writes to it writes the same bytes to the same places.
    """
    offset = _kept_bytes(files, content, part, hash_of)
    with files.open(part, "r+b") if offset else _fresh(files, part) as remote:
        remote.seek(offset)
        for start in range(offset, len(content), _CHUNK):
            remote.write(content[start : start + _CHUNK])


def _fresh(files: paramiko.SFTPClient, part: str) -> paramiko.SFTPFile:
    try:
        return files.open(part, "wxb")
    except OSError as error:
        if _exists(files, part):
            raise FileExistsError(part) from error
        raise


def _kept_bytes(files: paramiko.SFTPClient, content: bytes, part: str, hash_of: Hash) -> int:
    """How many bytes of an interrupted upload are the file's own beginning."""
    try:
        size = files.stat(part).st_size or 0
        prefix = hashlib.sha256(content[:size]).hexdigest()
        if 0 < size <= len(content) and hash_of(part) == prefix:
            return size
        files.remove(part)
    except FileNotFoundError:
        pass
    return 0


def _is_there(files: paramiko.SFTPClient, target: str, content: bytes, hash_of: Hash) -> bool:
    try:
        size = files.stat(target).st_size
        return size == len(content) and hash_of(target) == hashlib.sha256(content).hexdigest()
    except FileNotFoundError:
        return False


def _exists(files: paramiko.SFTPClient, path: str) -> bool:
    try:
        files.stat(path)
    except FileNotFoundError:
        return False
    return True


def _make_folder(files: paramiko.SFTPClient, folder: PurePosixPath) -> None:
    for step in (*reversed(folder.parents), folder):
        if not _exists(files, str(step)):
            try:
                files.mkdir(str(step))
            except OSError:
                if not _exists(files, str(step)):  # else another search was faster
                    raise

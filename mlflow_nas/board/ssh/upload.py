"""Upload of a file over SFTP that resumes where an earlier attempt was interrupted."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import paramiko

__all__ = ["upload"]

Hash = Callable[[str], str]

_CHUNK = 32_768


def upload(files: paramiko.SFTPClient, source: Path, target: str, *, part: str, hash_of: Hash) -> bool:
    """Send the missing part of a file, verify the whole on the device, then rename it to its target.

    A target with the same content is not sent again: it needs no space on a full disk.

    Args:
        files: the device's file server.
        source: the file on this machine.
        target: its absolute path on the device.
        part: path on the device of the unfinished upload.
        hash_of: sha256 of a file on the device; FileNotFoundError when it can't be read.

    Returns:
        False when it arrived damaged, or another process uploads the same file.

    Raises:
        OSError: the device can't store it.
    """
    content = source.read_bytes()
    if _exists_equal(files, target, content, hash_of):
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
    """Send the missing part of a file.

    A part is never truncated: another process writes the same bytes to the same places.
    """
    offset = _resumed_bytes(files, content, part, hash_of)
    with files.open(part, "r+b") if offset else _create(files, part) as remote:
        remote.seek(offset)
        for start in range(offset, len(content), _CHUNK):
            remote.write(content[start : start + _CHUNK])


def _create(files: paramiko.SFTPClient, part: str) -> paramiko.SFTPFile:
    try:
        return files.open(part, "wxb")
    except OSError as error:
        if _exists(files, part):
            raise FileExistsError(part) from error
        raise


def _resumed_bytes(files: paramiko.SFTPClient, content: bytes, part: str, hash_of: Hash) -> int:
    """Size of an interrupted upload that is a prefix of the file; 0 without one."""
    try:
        size = files.stat(part).st_size or 0
        prefix = hashlib.sha256(content[:size]).hexdigest()
        if 0 < size <= len(content) and hash_of(part) == prefix:
            return size
        files.remove(part)
    except FileNotFoundError:
        pass
    return 0


def _exists_equal(files: paramiko.SFTPClient, target: str, content: bytes, hash_of: Hash) -> bool:
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
                if not _exists(files, str(step)):  # else another process was faster
                    raise

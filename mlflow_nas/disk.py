"""Files written whole or not at all, and whose fault it is when they can't be."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from mlflow_nas.errors import ConfigError, MachineError, NasError

__all__ = ["disk_error", "is_machines_fault", "refuse_special_file", "write_whole"]

_MACHINE = {
    errno.ENOSPC,  # full
    errno.EDQUOT,  # over the quota
    errno.EFBIG,  # over the limit of a file's size
    errno.EROFS,  # mounted read-only
    errno.EIO,
    errno.ENOMEM,
    errno.EMFILE,  # too many open files
    errno.ENFILE,
}


def is_machines_fault(error: OSError) -> bool:
    """Whether the machine failed: full disk, quota, read-only mount, input/output, too many files."""
    return error.errno in _MACHINE


def disk_error(path: Path, error: OSError) -> NasError:
    """The error of a file that can't be written: a full disk is the machine's fault, a path the user's."""
    kind = MachineError if is_machines_fault(error) else ConfigError
    return kind(
        f"{path} can't be written: {error.strerror}. Free some space, "
        "or set MLFLOW_NAS_WORK to another folder."
    )


def refuse_special_file(path: Path) -> None:
    """Refuse a pipe or a device, which libraries would wait for; a missing file is theirs to report.

    Raises:
        ConfigError: the file is none of the disk.
    """
    with suppress(OSError, ValueError):
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            raise ConfigError(f"{path} is no regular file: give the path of one.")


def write_whole(path: Path, content: bytes) -> Path:
    """Write a file; a process that is killed midway leaves the old file or none.

    Raises:
        MachineError: the disk is full, read-only or broken.
        ConfigError: the folder is missing or may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        return temporary.replace(path)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)

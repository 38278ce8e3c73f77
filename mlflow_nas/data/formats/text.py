"""Text files of every data format: one rule for their encoding and their lines."""

import codecs
import os
import re
import stat
from pathlib import Path

from mlflow_nas.errors import ConfigError

__all__ = ["read_bytes", "read_lines", "read_text"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\n|\r")


def read_bytes(path: Path, *, holds: str, remedy: str) -> bytes:
    """The content of a regular file; pipes and devices are refused, not waited for.

    Args:
        path: of the file.
        holds: what it should hold, for messages: "a list of images".
        remedy: completes the sentence.

    Raises:
        FileNotFoundError: it is missing.
        ConfigError: it can't be read, or is no regular file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{path}: not readable as {holds} (no regular file); {remedy}")
            return file.read()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{str(path)[:200]}: not readable as {holds} ({reason}); {remedy}") from error


def read_text(path: Path, *, holds: str, remedy: str) -> str:
    """A text file in UTF-8, with or without a byte order mark, or in UTF-16 with one.

    Args:
        path: of the file.
        holds: what it should hold, for messages.
        remedy: completes the sentence.

    Raises:
        FileNotFoundError: it is missing.
        ConfigError: it can't be read, or is no such text.
    """
    content = read_bytes(path, holds=holds, remedy=remedy)
    mark, encoding = next((one for one in _MARKS if content.startswith(one[0])), (b"", "utf-8"))
    try:
        text = content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: not readable as {holds} in UTF-8 ({error.reason} at byte {error.start}); {remedy}"
        ) from error
    if "\0" in text:
        raise ConfigError(f"{path}: not readable as {holds} (it holds NUL characters); {remedy}")
    return text


def read_lines(path: Path, *, holds: str, remedy: str) -> list[tuple[int, str]]:
    """Number and stripped text of each line that is not empty; errors as `read_text`."""
    lines = _LINE_END.split(read_text(path, holds=holds, remedy=remedy))
    return [(number, line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]

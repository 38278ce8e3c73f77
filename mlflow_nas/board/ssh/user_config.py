"""The user's ~/.ssh/config, with the files that it includes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import paramiko

from mlflow_nas.errors import ConfigError

__all__ = ["read_user_config"]

_DEEPEST = 16  # as in OpenSSH


def read_user_config() -> paramiko.SSHConfig:
    """The settings of ~/.ssh/config; empty without one.

    Raises:
        ConfigError: the file, or one that it includes, can't be read.
    """
    path = Path.home() / ".ssh/config"
    try:
        lines = _lines(path, 0) if path.is_file() else ()
        return paramiko.SSHConfig.from_text("\n".join(lines))
    except (paramiko.ConfigParseError, OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path} can't be read: {error}") from error


def _lines(path: Path, depth: int) -> Iterator[str]:
    """The lines of a file with its includes in place; the enclosing block continues after them."""
    if depth > _DEEPEST:
        raise ValueError(f"Include is nested deeper than {_DEEPEST} files; does {path} include itself?")
    block = "Host *"
    for line in path.read_text(encoding="utf-8").splitlines():
        keyword, rest = (*re.split(r"[\s=]+", line.strip(), maxsplit=1), "")[:2]
        if keyword.lower() == "include":
            for pattern in shlex.split(rest):
                for included in _matching(pattern):
                    yield from _lines(included, depth + 1)
            yield block
        else:
            block = line if keyword.lower() in {"host", "match"} else block
            yield line


def _matching(pattern: str) -> list[Path]:
    """The files of a pattern; a relative one starts at ~/.ssh."""
    absolute = Path.home() / ".ssh" / Path(pattern).expanduser()
    return sorted(Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor))))

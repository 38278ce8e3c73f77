"""The ``name=value`` parts of a data URI."""

from collections.abc import Iterable
from pathlib import Path

from mlflow_nas.data.formats.files import is_folder
from mlflow_nas.data.names import unknown_name
from mlflow_nas.errors import ConfigError

__all__ = ["parse_options", "split_location", "whole_number"]


def split_location(location: str) -> tuple[Path, str]:
    """The folder or file of ``PLACE?OPTIONS``, and its options; a place that exists may hold a ?."""
    place, mark, query = location.partition("?")
    return (Path(location), "") if mark and is_folder(Path(location)) else (Path(place), query)


def parse_options(text: str, *, known: Iterable[str]) -> dict[str, str]:
    """Read ``a=1,b=2``; an empty text has no options.

    Args:
        text: the options.
        known: the existing names.

    Raises:
        ConfigError: an option is unknown, has no value or is given twice.
    """
    options: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if name not in known:
            raise ConfigError(f"data option: {unknown_name('option', name, known)}")
        if not equals or not value:
            raise ConfigError(f"data option {part!r}: no value; write {name}=VALUE")
        if name in options:
            raise ConfigError(f"data option {name!r} is given twice; give it once")
        options[name] = value
    return options


def whole_number(name: str, text: str, *, low: int, high: int) -> int:
    """Read a whole number within bounds.

    Raises:
        ConfigError: it is none, or outside the bounds.
    """
    if not text.isdecimal() or len(text) > len(str(high)) or not low <= int(text) <= high:
        raise ConfigError(f"data option {name}={text[:60]}: must be a whole number from {low} to {high}")
    return int(text)

"""Messages about settings: the value, its bound, the remedy; short, and without passwords."""

import difflib
from collections.abc import Mapping
from pathlib import Path

from mlflow_nas.config.settings import Setting
from mlflow_nas.redact import redact

__all__ = ["refusal", "shown", "unknown"]

MAX_CHARACTERS = 80
_MAX_ITEMS = 20


def shown(value: object) -> str:
    """A value as a message may hold it: without passwords, and short however large the value is."""
    text = repr(_head(value, depth=3))
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _head(value: object, *, depth: int) -> object:
    """The beginning of a value: aliases of YAML can make a nested one exponentially large."""
    if isinstance(value, str | Path):
        return redact(str(value))[: 2 * MAX_CHARACTERS]
    if isinstance(value, Mapping):
        return {
            str(key)[:MAX_CHARACTERS]: _head(value[key], depth=depth - 1) if depth else "..."
            for key in list(value)[:_MAX_ITEMS]
        }
    if isinstance(value, list | tuple):
        return [_head(part, depth=depth - 1) if depth else "..." for part in value[:_MAX_ITEMS]]
    return value


def refusal(source: str, value: object, reason: str, setting: Setting) -> str:
    """Why a value is refused, and what may be given instead."""
    bound = reason.removeprefix("Value error, ").rstrip(".")
    return f"{source} {shown(value)}: {bound}. Give {setting.allowed} ({setting.description})."


def unknown(name: str, settings: Mapping[str, Setting], place: str) -> str:
    """Message about a name that is no setting, with the nearest one or all existing ones.

    Args:
        name: as the user spelled it.
        settings: the existing ones.
        place: where the name was given, such as a file; "" for options.
    """
    options = [setting.option for setting in settings.values() if setting.option]
    by_last = {known.rpartition(".")[2]: known for known in settings}
    last = name.rpartition(".")[2]
    start = f"Unknown option {name[:MAX_CHARACTERS]}{' of ' if place else ''}{place}:"
    near = [last] if last in by_last else difflib.get_close_matches(name[:MAX_CHARACTERS], options, n=1)
    near = near or difflib.get_close_matches(name[:MAX_CHARACTERS], [*settings, *by_last], n=1)
    if not near:
        return f"{start} known are {', '.join([*options, *(name for name in settings if '.' in name)])}."
    meant = near[0] if near[0] in options else by_last.get(near[0], near[0])
    return f"{start} did you mean {meant}?"

"""Classes and functions that a user or another package brings, by name."""

import importlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import run_file

__all__ = ["load_factory"]


def load_factory(name: str, *, what: str, group: str, known: Iterable[str]) -> Callable[..., Any]:
    """A class or function by MODULE:NAME, FILE.py:NAME or the name of an entry point.

    Args:
        name: as the user gave it.
        what: it makes, for messages.
        group: of the entry points.
        known: names that are built in, for messages.

    Raises:
        ConfigError: there is none, or it can't be imported.
    """
    for point in entry_points(group=group, name=name):
        return _callable(_loaded(name, what, point.load), point.value, what)
    place, colon, attribute = name.rpartition(":")
    if not colon:
        raise ConfigError(
            f"There is no {what} {name!r}: choose {', '.join(known)}, or give a class of yours, such as "
            f"{what}s.py:My{what.capitalize()} or package.module:My{what.capitalize()}."
        )
    if place.endswith(".py"):
        module = run_file(Path(place), what)
    else:
        module = _loaded(name, what, lambda: importlib.import_module(place))
    return _callable(getattr(module, attribute, None), name, what)


def _callable(found: Any, name: str, what: str) -> Callable[..., Any]:
    if not callable(found):
        raise ConfigError(f"The {what} {name} is no class or function: define it there.")
    factory: Callable[..., Any] = found
    return factory


def _loaded(name: str, what: str, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except (Exception, SystemExit) as error:  # a user's module may do anything
        raise ConfigError(f"The {what} {name} can't be imported: {error!r}; fix its module.") from error

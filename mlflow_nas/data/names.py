"""Messages about names that do not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["unknown_name"]

_SHOWN = 90


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Message about a name that does not exist: the nearest one, and the existing ones.

    Args:
        kind: what is named, such as "class".
        name: the name that was asked for.
        known: the names that exist.
    """
    names = sorted(set(known))
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"unknown {kind} {name!r}{hint} choose from: {', '.join(names[:_SHOWN]) or 'none'}{rest}"

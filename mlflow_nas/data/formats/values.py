"""Numbers and flags of every data format, from text or from JSON."""

import math
import re

__all__ = ["flag", "number", "shown", "whole_value"]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MAX_CHARACTERS = 64
_TOO_LARGE = 1 << 1000
_FLAGS = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
_SHOWN = 60
_MAX_PARTS = 20


def shown(value: object) -> str:
    """A value as a message may hold it: short, however large the value is."""
    if isinstance(value, list | tuple) and len(value) <= _MAX_PARTS:
        return f"[{', '.join(map(_part, value))}]"[: 2 * _SHOWN]
    return _part(value)


def _part(value: object) -> str:
    if isinstance(value, dict | list | tuple):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return f"a whole number of more than {_SHOWN} digits"
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def number(value: object, name: str) -> float:
    """A finite number.

    Args:
        value: a number, or its text with a decimal point.
        name: of the value, for the message.

    Raises:
        ValueError: it is none.
    """
    if type(value) is int and -_TOO_LARGE < value < _TOO_LARGE:
        return float(value)
    if isinstance(value, str) and len(value) <= _MAX_CHARACTERS and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise ValueError(f"{name} {shown(value)} is no finite number")
    return value


def whole_value(value: object, name: str) -> int:
    """A whole number; 1.0 is one.

    Raises:
        ValueError: it is none.
    """
    try:
        found = number(value, name)
    except ValueError:
        found = math.nan
    if not found.is_integer():
        raise ValueError(f"{name} {shown(value)} is no whole number")
    return int(found)


def flag(value: object, name: str) -> bool:
    """A flag: a truth value, 0 or 1, or one of these, true, false, yes and no as text; nothing is false.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    text = str(value).strip().lower() if isinstance(value, str) else ""
    if isinstance(value, str) and text in _FLAGS:
        return _FLAGS[text]
    try:
        return {0.0: False, 1.0: True}[number(value, name)]
    except (ValueError, KeyError):
        raise ValueError(f"{name} {shown(value)} is no flag; write 0 or 1") from None

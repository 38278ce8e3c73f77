"""What a study was made with, compared with what a call that continues it has."""

import re
from collections.abc import Mapping

from mlflow_nas.errors import ConfigError

__all__ = ["refuse_other_inputs"]

_GROUP = re.compile(r"\w+\((.*)\)")
"""A group of settings as text, such as "Recipe(optimizer='adamw', freeze='none')"."""


def refuse_other_inputs(study: str, known: Mapping[str, object], given: Mapping[str, object]) -> None:
    """Refuse a call whose inputs differ: its results could not be compared.

    Args:
        study: its name.
        known: inputs of the study, plain values.
        given: those of the call.

    Raises:
        ConfigError: with the first input that differs; of a group of settings those that differ.
    """
    for name in sorted({*known, *given}):
        before, now = known.get(name), given.get(name)
        if before != now:
            before, now = _different_parts(before, now)
            raise ConfigError(
                f"The study {study!r} was made with {name} {before!r}, this call has {now!r}: give the "
                "earlier value, or another --study."
            )


def _different_parts(one: object, other: object) -> tuple[object, object]:
    """Both values; of two groups of settings what the other has not."""
    groups = [_GROUP.fullmatch(str(value)) for value in (one, other)]
    first, second = (re.split(r", (?=\w+=)", found[1]) if found else [] for found in groups)
    if not (first and second):
        return one, other
    return (
        ", ".join(part for part in first if part not in second),
        ", ".join(part for part in second if part not in first),
    )

"""A space with other choices, mostly fewer, and an architecture from text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from mlflow_nas.errors import ConfigError
from mlflow_nas.space.parameter import Parameter, Value
from mlflow_nas.space.search_space import SearchSpace

__all__ = ["narrow", "read_architecture"]

_RANGE = re.compile(r"(\d+)\.\.(\d+)(?::(\d+))?")


def narrow(space: SearchSpace, settings: Sequence[str]) -> SearchSpace:
    """The space with these choices, mostly fewer; its baseline stays, also where it is outside of them.

    Args:
        space: any space.
        settings: such as ("channels=24..64:8", "groups=1", "2"): a part without "=" is one more value of the
            parameter before it. A range includes its ends; without a step it has all legal values between.

    Raises:
        ConfigError: an unknown parameter, one that is given twice, or a value that is not legal.
    """
    narrowed: dict[str, Parameter] = {}
    for name, words in _grouped(settings):
        parameter = space.parameter(name)
        if name in narrowed:
            raise ConfigError(f"space.{name} is given twice: put its values into one list, space.{name}=A,B.")
        chosen = {value for word in words for value in _values(name, parameter, word)}
        values = tuple(value for value in parameter.legal if value in chosen)
        narrowed[name] = replace(parameter, values=values)
    return replace(space, parameters={**space.parameters, **narrowed})


def _grouped(settings: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Name and words of each setting: "groups=1", "2" is one setting with two words."""
    groups: list[tuple[str, list[str]]] = []
    for setting in settings:
        name, equals, word = setting.partition("=")
        if equals:
            groups.append((name.strip(), [part.strip() for part in word.split(",")]))
        elif groups:
            groups[-1][1].append(setting.strip())
        else:
            raise ConfigError(
                f"The choice {setting!r} names no parameter: write NAME=VALUES, such as space.groups=1,2."
            )
    yield from groups


def _values(name: str, parameter: Parameter, word: str) -> Sequence[Value]:
    """The legal values of a word: a value or a range."""
    found = _RANGE.fullmatch(word)
    if not found:
        return [_legal(name, parameter, word)]
    first, last, step = int(found[1]), int(found[2]), found[3]
    if first > last or step == "0":
        raise ConfigError(
            f"The range space.{name}={word} is empty: write FIRST..LAST:STEP with FIRST <= LAST, STEP >= 1."
        )
    if step:
        return [_legal(name, parameter, str(value)) for value in range(first, last + 1, int(step))]
    between = [value for value in parameter.legal if isinstance(value, int) and first <= value <= last]
    if not between:
        raise ConfigError(
            f"The range space.{name}={word} holds no value: {name} is one of {parameter.describe()}."
        )
    return between


def _legal(name: str, parameter: Parameter, word: str) -> Value:
    value = parameter.read(word)
    if value is None:
        raise ConfigError(f"{name}={word} is not in the space: choose among {parameter.describe()}.")
    return value


def read_architecture(space: SearchSpace, text: str) -> dict[str, Value]:
    """An architecture from text, or from a key such as runs have.

    Args:
        space: where the architecture is from.
        text: "name=value,..." (what is left out is the baseline's), or a whole key, "k3-g2-c48-w256".

    Raises:
        ConfigError: it is neither, or not in the space.
    """
    if "=" not in text:
        return _read_key(space, text)
    chosen: dict[str, object] = dict(space.baseline)
    for part in text.split(","):
        name, _, word = (piece.strip() for piece in part.partition("="))
        chosen[name] = _legal(name, space.parameter(name).widened(), word)
    return space.validate(chosen)


def _read_key(space: SearchSpace, text: str) -> dict[str, Value]:
    words = text.strip().split("-")
    read = [
        parameter.read(word.removeprefix(parameter.short)) if word.startswith(parameter.short) else None
        for parameter, word in zip(space.parameters.values(), words, strict=False)
    ]
    if len(words) != len(space.parameters) or None in read:
        raise ConfigError(
            f"{text!r} is no architecture of the space {space.name}: write NAME=VALUE,NAME=VALUE with "
            f"{', '.join(space.parameters)}, or a key such as {space.key(space.baseline)}."
        )
    return space.validate(dict(zip(space.parameters, read, strict=True)))

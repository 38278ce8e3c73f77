"""NAME=VALUE pairs in one text, as `--set` and the project parameter `set` take them."""

import re
from collections.abc import Iterator

from mlflow_nas.config.messages import shown
from mlflow_nas.errors import ConfigError

__all__ = ["read_assignments"]

MAX_CHARACTERS = 20_000

_START = re.compile(r"(?:(?<=\s)|^)([A-Za-z_][\w.-]*)=")
_QUOTED = re.compile(r"\"([^\"]*)\"(?=\s|$)|'([^']*)'(?=\s|$)")


def read_assignments(given: object) -> list[tuple[str, str]]:
    """Names and values, in their order.

    In a text pairs are separated by blanks or newlines, and a value ends where the next NAME= begins, so
    commas, "..", ":" and blanks in values need no quotes. A value within '...' or "..." is taken as it is:
    only one that holds " NAME=" needs them.

    Args:
        given: a text, or several.

    Raises:
        ConfigError: it begins with something else than NAME=, or is no text.
    """
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"set={shown(given)} is no text: write set='training.epochs=30 seed=1'.")
    return [pair for text in texts for pair in _pairs(text)]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(
            f"--set has {len(text):,} characters, {MAX_CHARACTERS:,} are the most: write a YAML file and "
            "give it with --config."
        )
    start, before = _START.search(text), text
    if start is not None:
        before = text[: start.start()]
    while start is not None:
        _refuse_rest(before)
        quoted = _QUOTED.match(text, start.end())
        following = _START.search(text, quoted.end() if quoted else start.end())
        end = following.start() if following else len(text)
        if quoted:
            yield start[1], quoted[1] if quoted[1] is not None else quoted[2]
            before = text[quoted.end() : end]
        else:
            yield start[1], text[start.end() : end].strip()
            before = ""
        start = following
    _refuse_rest(before)


def _refuse_rest(text: str) -> None:
    if text.strip():
        raise ConfigError(
            f"--set {shown(text.strip())} sets nothing: write NAME=VALUE, such as training.epochs=30."
        )

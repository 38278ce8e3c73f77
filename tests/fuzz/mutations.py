"""Damaged files: bytes exchanged, values of JSON exchanged; the same ones in every run."""

import copy
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mlflow_nas.errors import NasError

NASTY: list[Any] = [
    *(None, True, -1, 0, 1e308, float("inf"), float("nan"), 10**400, "1e400", "nan", "", "\0", "x" * 5000),
    *([], {}, [[]], "../../../etc/passwd", "/dev/zero", "person"),
]


def fuzz(examples: int) -> settings:
    """Settings of a fuzz test: a fixed seed, so that it is no test that sometimes fails."""
    return settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """The content with one slice exchanged for other bytes, longer or shorter."""

    def exchange(start: int, length: int, new: bytes) -> bytes:
        return content[:start] + new + content[start + length :]

    places = st.integers(0, max(len(content) - 1, 0))
    return st.builds(exchange, places, st.integers(0, 40), st.binary(max_size=20))


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, part in parts for found in _places(part, (*place, key)))]


def exchanged(document: Any) -> st.SearchStrategy[Any]:
    """A document of lists and mappings with one value exchanged for an unlikely one, or left out."""

    def exchange(place: tuple[Any, ...], new: Any, leave_out: bool) -> Any:
        if not place:
            return new
        changed = copy.deepcopy(document)
        target = changed
        for key in place[:-1]:
            target = target[key]
        if leave_out:
            del target[place[-1]]
        else:
            target[place[-1]] = new
        return changed

    return st.builds(exchange, st.sampled_from(_places(document)), st.sampled_from(NASTY), st.booleans())


def one_sentence(work: Callable[[], object]) -> None:
    """Work succeeds, or says in one short sentence what is wrong; no other exception leaves it."""
    try:
        work()
    except NasError as error:
        text = str(error)
        assert text
        assert len(text) < 4000
        assert "Traceback" not in text

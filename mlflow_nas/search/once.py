"""A value of the study that one worker computes while the others wait for it."""

import time
from collections.abc import Callable
from typing import Any

from mlflow_nas.search.store import StudyStore
from mlflow_nas.search.worker import StaleWatch, heartbeat

__all__ = ["once"]

_POLL_S = 0.5
_SETTLE_S = 0.1


def once(store: StudyStore, name: str, make: Callable[[], Any]) -> Any:
    """The study's value of that name, computed now where the study has none.

    The worker that computes it renews a heartbeat; a dead one is replaced. Of two that begin at once the
    last writer computes it.

    Args:
        store: the study.
        name: of the value, among the study's attributes.
        make: computes a plain JSON value, not None.

    Raises:
        The errors of `make`; the next worker then tries.
    """
    watch, owner_name, beat_name = StaleWatch(), f"{name}.owner", f"{name}.heartbeat"

    def is_mine() -> bool:
        return bool((store.value(owner_name) or {}).get("name") == store.worker.name)

    def beat(number: int) -> bool:
        store.keep(beat_name, number)
        return is_mine()

    while (value := store.value(name)) is None:
        owner = store.value(owner_name)
        if owner and not is_mine() and not watch.is_stale(name, owner, store.value(beat_name)):
            time.sleep(_POLL_S)
            continue
        store.keep(owner_name, store.worker.as_json())
        time.sleep(_SETTLE_S)
        if not is_mine():
            continue
        try:
            with heartbeat(beat, parent=store.parent):
                made = make()
        finally:
            store.keep(owner_name, None)
        if store.value(name) is None:
            store.keep(name, made)
    return value

"""Reconcile again and again: promotions that no hook has announced, on any MLflow."""

import logging
import threading
from collections.abc import Callable

from mlflow_nas.errors import NasError

__all__ = ["watch"]

_log = logging.getLogger(__name__)
MAX_PAUSE_S = 600.0


def watch(
    check: Callable[[], None], *, interval_s: float, stop: threading.Event, max_pause_s: float = MAX_PAUSE_S
) -> None:
    """Call a check until it is stopped; after failures the pauses double up to ten minutes.

    All that the check knows stands in the registry and on the devices, so that a restart loses nothing.

    Args:
        check: reconciles, and deploys.
        interval_s: pause between two checks, seconds.
        stop: ends the loop.
        max_pause_s: the longest pause.
    """
    pause_s = interval_s
    while not stop.is_set():
        try:
            check()
            pause_s = interval_s
        except NasError as error:
            _log.warning("%s", error)
            pause_s = min(2 * pause_s, max(max_pause_s, interval_s))
        stop.wait(pause_s)

"""The loop of the watcher."""

import logging
import threading

import pytest

from mlflow_nas.errors import RegistryError
from mlflow_nas.registry import watch


class _Stop(threading.Event):
    """Counts pauses instead of waiting, and ends after some."""

    def __init__(self, pauses: int) -> None:
        super().__init__()
        self.left, self.pauses = pauses, list[float]()

    def wait(self, timeout: float | None = None) -> bool:
        """Record the pause."""
        self.pauses.append(timeout or 0.0)
        if len(self.pauses) == self.left:
            self.set()
        return self.is_set()


def test_the_pauses_double_while_mlflow_is_away_and_shrink_again(caplog: pytest.LogCaptureFixture) -> None:
    """A failure is a line of the log, not the end."""
    answers = iter([RegistryError("away"), RegistryError("away"), RegistryError("away"), None, None])

    def check() -> None:
        error = next(answers)
        if error:
            raise error

    stop = _Stop(5)
    with caplog.at_level(logging.WARNING):
        watch(check, interval_s=2, stop=stop, max_pause_s=10)
    assert stop.pauses == [4, 8, 10, 2, 2]
    assert caplog.messages == ["away"] * 3


def test_a_bug_ends_the_watcher() -> None:
    """It is not repeated for ever."""

    def check() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        watch(check, interval_s=1, stop=threading.Event())

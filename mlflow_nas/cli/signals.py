"""Signals that end a command: each is raised once, so that what runs is released in order."""

import contextlib
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from types import FrameType

__all__ = ["Stopper"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_S = 5.0
_AGAIN_S = 0.05


class Stopper:
    """Raises KeyboardInterrupt for SIGINT, SIGTERM and SIGHUP; those that follow within seconds are dropped.

    A second signal would otherwise interrupt the code that releases boards, runs and trials.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._raised_at = float("-inf")

    @property
    def exit_code(self) -> int:
        """That of a process which the last signal ended."""
        return 128 + (self._last or signal.SIGINT)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals inside; one that the caller ignores (`nohup`) stays ignored."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.getsignal(one) for one in _SIGNALS}
        for one, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(one, self._stop)
        alarm = signal.signal(signal.SIGALRM, self._stop_now)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for one, handler in {**before, signal.SIGALRM: alarm}.items():
                signal.signal(one, handler)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._raised_at < _GRACE_S:
            return
        self._last, self._raised_at = number, now
        self._stop_now(number, frame)

    def _stop_now(self, _number: int, frame: FrameType | None) -> None:
        """Raise, or a little later where Python would ignore the exception."""
        if _is_ignored_in(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
            return
        raise KeyboardInterrupt


def _is_ignored_in(frame: FrameType | None) -> bool:
    """Whether a finalizer or the callback of a weak reference runs: Python prints what they raise."""
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_code.co_filename == weakref.__file__:
            return True
        frame = frame.f_back
    return False

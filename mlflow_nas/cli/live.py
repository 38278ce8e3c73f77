"""Lines at the end of a terminal that are drawn again while work runs; other messages stand above them."""

import logging
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

__all__ = ["LiveLines", "LogHandler"]

_EVERY_S = 0.5
_UP, _CLEAR = "\x1b[{}A\r", "\r\x1b[J"

_shown: "LiveLines | None" = None
"""The lines that are drawn now: messages of the log go above them."""


class LiveLines:
    """Draws lines twice a second, so that a long step does not look stuck.

    Args:
        stream: a terminal.
        lines: what is shown now.
        width: of the terminal, characters; None asks it.
    """

    def __init__(
        self, stream: TextIO, lines: Callable[[], Sequence[str]], *, width: int | None = None
    ) -> None:
        self._stream, self._lines, self._width = stream, lines, width
        self._drawn = 0
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="progress", daemon=True)

    def start(self) -> None:
        """Begin to draw."""
        global _shown  # noqa: PLW0603 - one terminal
        _shown = self
        self._thread.start()

    def close(self, *last: str) -> None:
        """Draw no more; the last lines stay."""
        global _shown
        self._ended.set()
        with self.hidden():
            self._write("".join(f"{line}\n" for line in last))
        self._drawn, _shown = 0, None

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """The lines are away inside, so that something else can be written."""
        with self._lock:
            self._clear()
            yield
            if not self._ended.is_set():
                self.draw()

    def draw(self) -> None:
        """Draw the lines as they are now."""
        with self._lock:
            self._clear()
            width = (self._width or shutil.get_terminal_size().columns) - 1
            shown = [line[:width] for line in self._lines()]
            self._write("".join(f"{line}\n" for line in shown))
            self._drawn = len(shown)

    def _clear(self) -> None:
        if self._drawn:
            self._write(_UP.format(self._drawn) + _CLEAR)
            self._drawn = 0

    def _redraw(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.draw()

    def _write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # the terminal is gone, the work continues
            self._stream.write(text)
            self._stream.flush()


class LogHandler(logging.StreamHandler[Any]):
    """Writes messages to standard error, above what is drawn there."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        lines = _shown
        if lines is None:
            super().emit(record)
            return
        with lines.hidden():
            super().emit(record)

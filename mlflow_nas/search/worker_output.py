"""What a worker process logs and prints: its parent shows it above the display."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

__all__ = ["EVENTS", "send_output", "show_output", "silenced"]

EVENTS = frozenset({"message", "printed"})


class _Messages(QueueHandler):
    """Sends log records."""

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send one message."""
        self.queue.put_nowait(("message", (record,)))


class _Printed(io.TextIOBase):
    """A stream that sends what is written."""

    def __init__(self, events: Any) -> None:
        self._events = events

    def write(self, text: str) -> int:
        """Send a text."""
        self._events.put(("printed", (text,)))
        return len(text)


@contextmanager
def silenced() -> Iterator[None]:
    """Nothing is logged or printed inside: a worker opens a study as its parent has done."""
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        warnings.catch_warnings(action="ignore"),
    ):
        yield


@contextmanager
def send_output(events: Any) -> Iterator[None]:
    """What is logged and printed inside becomes events for `show_output`; libraries' warnings are dropped.

    Args:
        events: a queue of (name, arguments).
    """
    logging.getLogger().addHandler(_Messages(events))
    printed = _Printed(events)
    with redirect_stdout(printed), redirect_stderr(printed), warnings.catch_warnings(action="ignore"):
        yield


def show_output(output: logging.LogRecord | str) -> None:
    """Log a worker's message by the levels of this process, or write what it printed to standard error."""
    if isinstance(output, str):
        sys.stderr.write(output)
        return
    logger = logging.getLogger(output.name)
    if logger.isEnabledFor(output.levelno):
        logger.handle(output)

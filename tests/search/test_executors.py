"""Executors: what several processes send to their parent."""

import logging

import pytest

from mlflow_nas.config import SearchConfig
from mlflow_nas.search import NoProgress
from mlflow_nas.search.executors import ProcessExecutor, _Messages


def test_a_workers_messages_are_logged_by_its_parent(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the parent's levels: its display stands below them, and libraries that it silences stay silent."""
    executor = ProcessExecutor(SearchConfig(), 2, NoProgress())
    handler = _Messages(executor._events)
    monkeypatch.setattr(logging.getLogger("chatty"), "level", logging.ERROR)
    for name, text in (("chatty", "advice"), ("mlflow_nas.search", "careful, %d")):
        handler.handle(
            logging.LogRecord(name, logging.WARNING, "p", 1, text, (3,) if "%" in text else (), None)
        )
    assert executor._show_events() == 0
    assert caplog.messages == ["careful, 3"]

"""Executors: what several processes send to their parent."""

import logging
import queue
import sys
import warnings

import pytest

from mlflow_nas.search.worker_output import EVENTS, send_output, show_output, silenced


@pytest.fixture
def events() -> "queue.Queue[tuple[str, tuple[logging.LogRecord | str]]]":
    """The queue of a worker, and no handler left behind."""
    return queue.Queue()


@pytest.fixture(autouse=True)
def _root_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that a worker adds to the root logger are removed."""
    monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers.copy())


def _worker() -> None:
    logging.getLogger("chatty").warning("advice")
    logging.getLogger("mlflow_nas.search").warning("careful, %d", 3)
    sys.stdout.write("printed\n")
    warnings.warn("of a library", stacklevel=1)


def test_a_workers_output_is_shown_by_its_parent(
    events: "queue.Queue[tuple[str, tuple[logging.LogRecord | str]]]",
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the parent's levels: libraries that it silences stay silent, and their warnings are dropped."""
    with send_output(events):
        _worker()
    caplog.clear()
    logging.getLogger("chatty").setLevel(logging.ERROR)
    monkeypatch.setattr(logging.getLogger(), "handlers", logging.getLogger().handlers[:-1])
    while not events.empty():
        name, args = events.get()
        assert name in EVENTS
        show_output(*args)
    assert caplog.messages == ["careful, 3"]
    assert capsys.readouterr().err == "printed\n"


def test_a_worker_opens_a_study_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    """Its parent has printed the same."""
    with silenced():
        _worker()
    assert capfd.readouterr() == ("", "")

"""The display of a search, on a terminal and elsewhere."""

import io
import logging
import time
from types import SimpleNamespace

import pytest

from mlflow_nas.cli import progress as progress_module
from mlflow_nas.cli.forecast import TimeLeft, format_seconds
from mlflow_nas.cli.live import LiveLines, LogHandler
from mlflow_nas.cli.progress import Bar
from mlflow_nas.types import Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))


class Clock:
    """Time that passes only when it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self.now_s


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the display."""
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    return clock


def _trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(number=number)


def _result(number: int, accuracy: float, latency_ms: float) -> TrialResult:
    metrics = {"map": accuracy, "latency_ms": latency_ms}
    return TrialResult(number=number, key="k", architecture={}, state="complete", metrics=metrics)


def _search(clock: Clock, *, trials: int = 3) -> Bar:
    """A display of a study of which one trial was finished earlier."""
    bar = Bar(_opened_s=clock.now_s)
    bar.study(trials=trials, epochs=1, objectives=OBJECTIVES, known=[_result(0, 0.3, 9)])
    return bar


def test_the_forecast_is_made_of_measured_epochs_and_trials(clock: Clock) -> None:
    """2 trials of 1 epoch are left: 20 s an epoch, first forecast as three for the rest, then measured."""
    bar = _search(clock)
    assert "left" not in bar.lines()[0], "nothing is measured yet"
    bar.trial_started(_trial(1))
    bar.step(_trial(1), "train")
    clock.now_s += 20
    bar.epoch(_trial(1), 1, {})
    # Left are one epoch of 20 s and two rests as long as three epochs.
    assert bar.lines()[0].startswith(
        "[########................] 1 of 3 trials  00:20 elapsed, about 02:20 left"
    )
    bar.step(_trial(1), "measure")
    clock.now_s += 40
    bar.trial_finished(_trial(1), _result(1, 0.4, 12))
    assert "2 of 3 trials  01:00 elapsed, about 01:00 left" in bar.lines()[0]
    bar.trial_started(_trial(2))
    clock.now_s += 60
    bar.trial_finished(_trial(2), _result(2, 0.1, 10))
    assert bar.lines() == ["[########################] 3 of 3 trials  02:00 elapsed  best map 0.400  front 2"]


def test_the_interval_of_the_time_left_follows_the_spread() -> None:
    """Two standard deviations to each side, shared by the workers."""
    left = TimeLeft(epochs_s=[8.0, 12.0], rests_s=[5.0])
    low, high = left.of(epochs=2, trials=1, workers=1) or (0, 0)
    assert ((low + high) / 2, round(high - low)) == (25.0, 16)
    assert left.of(epochs=2, trials=1, workers=2) == (low / 2, high / 2)
    assert TimeLeft().of(epochs=2, trials=1, workers=1) is None


def test_each_worker_has_a_line(clock: Clock) -> None:
    """With its step, epochs and time; a trial that is given back is not shown."""
    bar = _search(clock)
    for number in (1, 2):
        bar.trial_started(_trial(number))
        bar.step(_trial(number), "train")
    clock.now_s += 10
    bar.epoch(_trial(1), 1, {})
    assert bar.lines()[1:] == ["  trial 1, train, 1 epochs, 00:10", "  trial 2, train, 00:10"]
    bar.trial_interrupted(_trial(1))
    assert bar.lines()[1:] == ["  trial 2, train, 00:10"]


def test_work_outside_of_trials_is_named(clock: Clock) -> None:
    """The seed network's training, before the number of trials is known."""
    bar = Bar(_opened_s=clock.now_s)
    bar.stage("preparation")
    bar.step(None, "seed network")
    clock.now_s += 75
    bar.epoch(None, 1, {})
    assert bar.lines() == ["preparing  01:15 elapsed", "  preparation, seed network, 1 epochs, 01:15"]


def test_without_a_terminal_each_stage_and_trial_is_a_line(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """No character moves the cursor: the output of a CI job is readable."""
    bar = _search(clock)
    bar.stage("finalist 1 of 2")
    bar.trial_started(_trial(1))
    bar.step(_trial(1), "train")
    bar.trial_finished(_trial(1), _result(1, 0.4, 12))
    bar.close()
    assert capsys.readouterr().err.splitlines() == [
        "finalist 1 of 2",
        "[################........] 2 of 3 trials: trial 1 complete, map 0.400, latency_ms 12.000",
    ]


def test_a_terminal_keeps_one_line(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live lines are cleared at the end."""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    bar = _search(clock)
    bar.trial_started(_trial(1))
    clock.now_s += 5
    bar.close()
    bar.close()
    last = terminal.getvalue().rpartition("\x1b[J")[2]
    assert last == "[########................] 1 of 3 trials in 00:05\n"


def test_messages_stand_above_the_live_lines() -> None:
    """A warning is never written into a line that is drawn again."""
    terminal = Terminal()
    lines = LiveLines(terminal, lambda: ["working"], width=80)
    lines.start()
    lines.draw()
    handler = LogHandler()
    handler.setStream(terminal)
    handler.emit(logging.LogRecord("n", logging.WARNING, "p", 1, "careful", None, None))
    lines.close()
    assert "working\n\x1b[1A\r\r\x1b[Jcareful\nworking\n" in terminal.getvalue()
    assert terminal.getvalue().endswith("\x1b[J")


def test_lines_are_cut_at_the_terminals_width_and_drawn_again() -> None:
    """A longer one would wrap, and the cursor would not find its start; a long step does not look stuck."""
    terminal = Terminal()
    lines = LiveLines(terminal, lambda: ["x" * 100], width=20)
    lines.start()
    time.sleep(0.7)
    lines.close()
    drawn = terminal.getvalue()
    assert drawn.startswith("x" * 19 + "\n")


def test_seconds_are_written_as_a_clock() -> None:
    """Hours where there are any."""
    assert [format_seconds(one) for one in (5, 65, 3725)] == ["00:05", "01:05", "1:02:05"]

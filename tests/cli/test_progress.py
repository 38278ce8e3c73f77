"""The display of a search, on a terminal and elsewhere."""

import io
import logging
import re
import sys
from types import SimpleNamespace

import pytest
from rich.console import Console

from mlflow_nas.cli import progress as progress_module
from mlflow_nas.cli.forecast import TimeLeft, format_interval, format_seconds
from mlflow_nas.cli.output import LogHandler
from mlflow_nas.cli.progress import Bar
from mlflow_nas.cli.steps import Steps
from mlflow_nas.types import Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))


class Clock:
    """Time that passes only when it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self.now_s


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


def _terminal(width: int = 120) -> Console:
    """A terminal that keeps what was written."""
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={})


def _file() -> Console:
    """Standard error that goes into a file."""
    return Console(file=io.StringIO(), _environ={})


def _written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def _search(clock: Clock, console: Console | None = None, *, trials: int = 3) -> Bar:
    """A display of a study of which one trial was finished earlier."""
    bar = Bar(console or _terminal(), _opened_s=clock.now_s)
    bar.study(trials=trials, epochs=1, objectives=OBJECTIVES, known=[_result(0, 0.3, 9)])
    return bar


def _lines(bar: Bar) -> list[str]:
    """What a terminal shows now, without the bar's characters."""
    with bar.console.capture() as capture:
        bar.console.print(bar)
    return [" ".join(re.sub("[━╸╺]", "", line).split()) for line in capture.get().splitlines()]


def test_the_forecast_is_made_of_measured_epochs_and_trials(clock: Clock) -> None:
    """2 trials of 1 epoch are left: 20 s an epoch, first forecast as three for the rest, then measured."""
    bar = _search(clock)
    assert "left" not in " ".join(_lines(bar)), "nothing is measured yet"
    bar.trial_started(_trial(1))
    bar.step(_trial(1), "train")
    clock.now_s += 20
    bar.epoch(_trial(1), 1, {})
    # Left are one epoch of 20 s and two rests as long as three epochs.
    assert _lines(bar)[:2] == [
        "1 of 3 trials 00:20 elapsed best map 0.300 front 1",
        "about 02:20 left: training about 00:20, export to latency about 02:00",
    ]
    bar.step(_trial(1), "measure")
    clock.now_s += 40
    bar.trial_finished(_trial(1), _result(1, 0.4, 12))
    assert _lines(bar)[1] == "about 01:00 left: training about 00:20, export to latency about 00:40"
    bar.trial_started(_trial(2))
    clock.now_s += 60
    bar.trial_finished(_trial(2), _result(2, 0.1, 10))
    assert _lines(bar) == ["3 of 3 trials 02:00 elapsed best map 0.400 front 2"]


def test_the_interval_of_the_time_left_follows_the_spread() -> None:
    """Two standard deviations to each side, shared by the workers; those of both kinds of work are added."""
    left = TimeLeft(epochs_s=[8.0, 12.0], rests_s=[5.0])
    found = left.of(epochs=2, trials=1, workers=1)
    low, high = found["all"]
    assert ((low + high) / 2, round(high - low)) == (25.0, 16)
    assert (found["export to latency"], sum(found["training"]) / 2) == ((5.0, 5.0), 20.0)
    assert left.of(epochs=2, trials=1, workers=2)["all"] == (low / 2, high / 2)
    assert TimeLeft().of(epochs=2, trials=1, workers=1) == {}
    assert [format_interval(one) for one in ((60, 120), (118, 120))] == ["01:00 to 02:00", "about 02:00"]


def test_each_worker_has_a_line(clock: Clock) -> None:
    """With its step, epochs and time; a trial that is given back is not shown."""
    bar = _search(clock)
    for number in (1, 2):
        bar.trial_started(_trial(number))
        bar.step(_trial(number), "train")
    clock.now_s += 10
    bar.epoch(_trial(1), 1, {})
    assert _lines(bar)[2:] == ["trial 1 train 1 of 1 epochs 00:10", "trial 2 train 00:10"]
    bar.trial_interrupted(_trial(1))
    assert _lines(bar)[2:] == ["trial 2 train 00:10"]


def test_the_last_worker_ends_the_search(clock: Clock) -> None:
    """Two trials of two workers: one has an epoch left, the other two; they don't share them."""
    bar = Bar(_terminal(), _opened_s=clock.now_s)
    bar.study(trials=2, epochs=2, objectives=OBJECTIVES, known=[])
    for number in (0, 1):
        bar.trial_started(_trial(number))
        bar.step(_trial(number), "train")
    clock.now_s += 20
    bar.epoch(_trial(0), 1, {})
    # Two epochs of 20 s and what follows them, as long as three epochs.
    assert _lines(bar)[1] == "about 01:40 left: training about 00:30, export to latency about 01:00"


def test_of_many_workers_the_first_ones_are_shown(clock: Clock) -> None:
    """The number of the others stands below them."""
    bar = _search(clock, trials=20)
    for number in range(1, 11):
        bar.trial_started(_trial(number))
    assert len(_lines(bar)) == 1 + 8 + 1
    assert _lines(bar)[-1] == "and 2 trials more"


def test_work_outside_of_trials_is_named(clock: Clock) -> None:
    """The seed network's training, with its own forecast, before the number of trials is known."""
    bar = Bar(_terminal(), _opened_s=clock.now_s)
    bar.stage("preparation", epochs=3)
    bar.step(None, "seed network")
    clock.now_s += 75
    bar.epoch(None, 1, {})
    assert _lines(bar) == [
        "preparing 01:15 elapsed",
        "preparation seed network 1 of 3 epochs 01:15 training about 02:30 left",
    ]


def test_work_after_the_trials_is_named_without_a_stage(clock: Clock) -> None:
    """`select` scores with a strategy once the trials have ended."""
    bar = _search(clock)
    assert _lines(bar)[-1] == "start workers 00:00"
    bar.trial_started(_trial(1))
    bar.trial_finished(_trial(1), _result(1, 0.4, 12))
    bar.step(None, "synflow")
    assert _lines(bar)[-1] == "synflow 00:00"


def test_without_a_terminal_each_stage_and_trial_is_a_line(clock: Clock) -> None:
    """No character moves the cursor and none is coloured: the output of a CI job is readable."""
    console = _file()
    with _search(clock, console) as bar:
        bar.stage("finalist 1 of 2")
        bar.trial_started(_trial(1))
        bar.step(_trial(1), "train")
        bar.trial_finished(_trial(1), _result(1, 0.4, 12))
    assert _written(console).splitlines() == [
        "finalist 1 of 2",
        "2 of 3 trials: trial 1 complete, map 0.400, latency_ms 12.000",
    ]


def test_a_terminal_keeps_one_line(clock: Clock) -> None:
    """The live lines are cleared at the end; before them the display shows that the command has started."""
    console = _terminal()
    with _search(clock, console) as bar:
        assert _lines(bar)[-1] == "start 00:00"
        bar.trial_started(_trial(1))
        clock.now_s += 5
        bar.close()
    assert _written(console).endswith("\x1b[2K1 of 3 trials in 00:05\n")


def test_messages_stand_above_the_live_lines(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning or a print of a library is never written into a line that is drawn again."""
    console = _terminal()
    monkeypatch.setattr("sys.stderr", console.file)
    handler = LogHandler()
    with _search(clock, console):
        handler.emit(logging.LogRecord("n", logging.WARNING, "p", 1, "careful", None, None))
        sys.stderr.write("printed\n")
    assert re.search(r"\x1b\[2Kcareful\n.*elapsed", _written(console), re.DOTALL)
    assert re.search(r"\x1b\[2Kprinted\n.*elapsed", _written(console), re.DOTALL)
    handler.emit(logging.LogRecord("n", logging.WARNING, "p", 1, "afterwards", None, None))
    assert _written(console).endswith("\nafterwards\n")


def test_a_narrow_terminal_wraps_no_drawn_line(clock: Clock) -> None:
    """A line that the terminal wraps would be drawn again below itself."""
    bar = _search(clock, _terminal(40))
    bar.stage("finalist 1 of 2, " + "k" * 100)
    with bar.console.capture() as capture:
        bar.console.print(bar)
    assert max(len(line) for line in capture.get().splitlines()) <= 40


def test_steps_are_shown_with_their_time_on_a_terminal() -> None:
    """Finished steps stay."""
    console = _terminal()
    with Steps(console) as steps:
        steps.step("train")
        steps.epoch(1, {})
        steps.step("evaluate")
    last = _written(console).rpartition("start")[2].splitlines()
    assert [line.split() for line in last[1:3]] == [
        ["train,", "1", "epochs", "0:00:00"],
        ["evaluate", "0:00:00"],
    ]


def test_steps_are_silent_elsewhere() -> None:
    """The output of a pipe is the result alone."""
    console = _file()
    with Steps(console) as steps:
        steps.step("train")
        steps.epoch(1, {})
    assert _written(console) == ""


def test_seconds_are_written_as_a_clock() -> None:
    """Hours where there are any."""
    assert [format_seconds(one) for one in (5, 65, 3725)] == ["00:05", "01:05", "1:02:05"]

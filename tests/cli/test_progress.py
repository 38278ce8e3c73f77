import re
from types import SimpleNamespace

import pytest

from mlflow_nas.cli import progress as progress_module
from mlflow_nas.cli.progress import Bar
from mlflow_nas.types import TrialResult

RESULT = TrialResult(number=0, key="k", architecture={"kernel_size": 5}, state="complete")


class Clock:
    """Time that passes only when it is set."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """Seconds, as set."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the bar and of tqdm."""
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    monkeypatch.setattr("tqdm.std.time", clock.monotonic)
    return clock


def _trial(number: int) -> SimpleNamespace:
    return SimpleNamespace(number=number)


def _last(text: str) -> str:
    return text.split("\r")[-1].strip()


def test_the_forecast_is_made_of_measured_epochs_and_trials(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 trials of 1 epoch are left: 20 s an epoch, first forecast as three for the rest, then measured."""
    bar = Bar()
    bar.study(trials=3, finished=1, epochs=1)
    bar.trial_started(_trial(1))
    bar.step(_trial(1), "train")
    clock.now_s += 20
    bar.epoch(_trial(1), 1, {})
    # 20 s are over; left are one epoch of 20 s and two rests as long as three epochs.
    assert re.match(
        r"trial 1, train:\s+12%\|.*\| 00:20 elapsed, 02:20 remaining", _last(capsys.readouterr().err)
    )
    bar.step(_trial(1), "measure")
    clock.now_s += 40
    bar.trial_finished(_trial(1), RESULT)
    # 60 s are over; left is one trial of 20 + 40 s.
    assert re.match(r".*\s50%\|.*\| 01:00 elapsed, 01:00 remaining", _last(capsys.readouterr().err))
    bar.trial_started(_trial(2))
    clock.now_s += 60
    bar.trial_finished(_trial(2), RESULT)
    bar.close()
    printed = capsys.readouterr().err
    assert re.match(r"trials: 100%\|.*\| 02:00 elapsed$", _last(printed.rstrip()))
    assert printed.count("100%") == 1


def test_workers_share_one_bar(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Two at once take half of the time; a trial that is given back is not shown."""
    bar = Bar()
    bar.study(trials=2, finished=0, epochs=1)
    for number in (0, 1):
        bar.trial_started(_trial(number))
        bar.step(_trial(number), "train")
    clock.now_s += 10
    bar.epoch(_trial(0), 1, {})
    # Left are one epoch of 10 s and two rests of 30 s, two at once.
    assert re.match(
        r"trials 0, 1:\s+22%\|.*\| 00:10 elapsed, 00:35 remaining", _last(capsys.readouterr().err)
    )
    bar.trial_interrupted(_trial(0))
    clock.now_s += 30
    bar.trial_finished(_trial(1), RESULT)
    assert "remaining" in capsys.readouterr().err
    bar.close()
    assert "100%" not in capsys.readouterr().err, "one trial is left"


def test_work_outside_of_trials_is_named(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """The seed network's training, before the number of trials is known."""
    bar = Bar()
    bar.stage("seed network")
    bar.step(None, "train")
    clock.now_s += 15
    bar.epoch(None, 1, {})
    bar.close()
    assert "elapsed" in capsys.readouterr().err
    bar.close()

import re

import pytest

from mlflow_nas.cli import progress as progress_module
from mlflow_nas.cli.progress import Bar
from mlflow_nas.types import Evaluation

ARCHITECTURE = {"kernel_size": 5}
RESULT = Evaluation(number=0, key="k", architecture=ARCHITECTURE, state="complete")


class Clock:
    """Time that passes only when it is told to."""

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


def _last(text: str) -> str:
    return text.split("\r")[-1].strip()


def test_the_forecast_is_made_of_measured_epochs_and_trials(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A seed of 2 epochs, 2 trials of 1 epoch: 20 s an epoch, and later 40 s for the rest of a trial."""
    bar = Bar()
    clock.now_s = 50.0
    bar.study(trials=3, done=1, epochs=1, seed_epochs=2)
    bar.step("seed")
    for _ in range(2):
        clock.now_s += 20
        bar.step("epoch")
    # 40 s are over; left are two trials of an epoch of 20 s and a rest as long as three epochs.
    assert re.match(r"seed:\s+20%\|.*\| 00:40 elapsed, 02:40 remaining", _last(capsys.readouterr().err))
    bar.trial(1, ARCHITECTURE)
    bar.step("train")
    clock.now_s += 20
    bar.step("epoch")
    bar.step("latency")
    clock.now_s += 40
    bar.result(RESULT)
    # 100 s are over; left is one trial of 20 + 40 s.
    assert re.match(
        r"trial 1, latency:\s+62%\|.*\| 01:40 elapsed, 01:00 remaining", _last(capsys.readouterr().err)
    )
    bar.trial(2, ARCHITECTURE)
    clock.now_s += 60
    bar.result(RESULT)
    printed = capsys.readouterr().err
    assert re.match(r"trials: 100%\|.*\| 02:40 elapsed$", _last(printed.rstrip()))
    assert printed.count("100%") == 1

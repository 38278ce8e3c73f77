"""How long the trials that are left take, from those that this command has measured."""

import math
import statistics
from dataclasses import dataclass, field

__all__ = ["TimeLeft", "format_seconds"]

REST_IN_EPOCHS = 3
"""Until a trial has ended, its export, evaluation and latency are forecast to take this many epochs."""


@dataclass(slots=True)
class TimeLeft:
    """Seconds of epochs and of the rest of each trial.

    Attributes:
        epochs_s: of each epoch of a trial.
        rests_s: of each trial without its epochs.
    """

    epochs_s: list[float] = field(default_factory=list)
    rests_s: list[float] = field(default_factory=list)

    def of(self, *, epochs: int, trials: int, workers: int) -> tuple[float, float] | None:
        """The interval of the time left, two standard deviations wide to each side; None before an epoch.

        Args:
            epochs: that are left.
            trials: that are left, those that run included.
            workers: that share them.
        """
        if not self.epochs_s:
            return None
        epoch_s = statistics.fmean(self.epochs_s)
        rest_s = statistics.fmean(self.rests_s) if self.rests_s else REST_IN_EPOCHS * epoch_s
        total_s = epochs * epoch_s + trials * rest_s
        apart_s = 2 * math.sqrt(epochs * _variance(self.epochs_s) + trials * _variance(self.rests_s))
        busy = max(workers, 1)
        return max(total_s - apart_s, 0.0) / busy, (total_s + apart_s) / busy


def _variance(values: list[float]) -> float:
    return statistics.variance(values) if len(values) > 1 else 0.0


def format_seconds(seconds: float) -> str:
    """05:12, or 2:05:12."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"

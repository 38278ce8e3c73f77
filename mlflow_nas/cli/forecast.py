"""How long the trials that are left take, from those that this command has measured."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Interval", "TimeLeft", "format_interval", "format_seconds", "time_of"]

REST_IN_EPOCHS = 3
"""Until a trial has ended, its export, evaluation and latency are forecast to take this many epochs."""

Interval = tuple[float, float]
"""Seconds, two standard deviations to each side of the mean."""


@dataclass(slots=True)
class TimeLeft:
    """Seconds of epochs and of the rest of each trial.

    Attributes:
        epochs_s: of each epoch of a trial.
        rests_s: of each trial without its epochs.
    """

    epochs_s: list[float] = field(default_factory=list)
    rests_s: list[float] = field(default_factory=list)

    def of(self, *, epochs: int, trials: int, workers: int) -> dict[str, Interval]:
        """Kind of work to the interval of its time left, `all` first; nothing before an epoch.

        Args:
            epochs: that are left.
            trials: that are left, those that run included.
            workers: that share them.
        """
        if not self.epochs_s:
            return {}
        rests_s = self.rests_s or [REST_IN_EPOCHS * statistics.fmean(self.epochs_s)]
        parts = {"training": (epochs, self.epochs_s), "export to latency": (trials, rests_s)}
        return {
            "all": time_of(list(parts.values()), workers=workers),
            **{name: time_of([part], workers=workers) for name, part in parts.items()},
        }


def time_of(parts: Sequence[tuple[int, Sequence[float]]], *, workers: int = 1) -> Interval:
    """The interval of work whose units were timed.

    Args:
        parts: units that are left of each kind, and the seconds of its measured units.
        workers: that share them.
    """
    mean_s = sum(count * statistics.fmean(measured) for count, measured in parts)
    apart_s = 2 * math.sqrt(sum(count * _variance(measured) for count, measured in parts))
    busy = max(workers, 1)
    return max(mean_s - apart_s, 0.0) / busy, (mean_s + apart_s) / busy


def _variance(values: Sequence[float]) -> float:
    return statistics.variance(values) if len(values) > 1 else 0.0


def format_interval(interval: Interval) -> str:
    """04:10 to 06:20, or one time where both are about the same."""
    low, high = (format_seconds(one) for one in interval)
    return f"about {high}" if interval[1] - interval[0] < 0.1 * interval[1] else f"{low} to {high}"


def format_seconds(seconds: float) -> str:
    """05:12, or 2:05:12."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes:02d}:{rest:02d}"

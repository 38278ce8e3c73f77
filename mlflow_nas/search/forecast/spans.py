"""A duration with its interval, and a training's duration from its first epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

__all__ = ["Span", "extrapolate", "format_duration"]


@dataclass(frozen=True, slots=True)
class Span:
    """Seconds.

    Attributes:
        mean: expected.
        low, high: the interval.
    """

    mean: float
    low: float
    high: float

    @classmethod
    def exactly(cls, seconds: float) -> "Span":
        """Without an interval."""
        return cls(seconds, seconds, seconds)

    @classmethod
    def between(cls, one: "Span", other: "Span") -> "Span":
        """Of something whose duration lies between two others'."""
        return cls((one.mean + other.mean) / 2, min(one.low, other.low), max(one.high, other.high))

    def __add__(self, other: "Span") -> "Span":
        return Span(self.mean + other.mean, self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> "Span":
        """That many of it, one after the other."""
        return Span(self.mean * factor, self.low * factor, self.high * factor)

    def __str__(self) -> str:
        """Such as "3.2 h (2.9 h to 3.8 h)"."""
        low, high = format_duration(self.low), format_duration(self.high)
        mean = format_duration(self.mean)
        return mean if low == high else f"{mean} ({low} to {high})"

    def as_json(self) -> dict[str, float]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, float]) -> "Span":
        """The span read back from `as_json`."""
        return cls(**plain)


def extrapolate(epoch_s: Sequence[float], *, epochs: int, first: int, share: float) -> Span:
    """Duration of a training from that of its first epochs on a part of the images.

    Args:
        epoch_s: seconds of the measured epochs, the first with the start of the training.
        epochs: of the whole training.
        first: number of epochs of another kind, such as those that compute a frozen backbone's features; the
            others follow them. At least 1.
        share: of the steps of an epoch that were measured, 0..1.

    Returns:
        The mean of the epochs after the first ones stands for all of them; their fastest and slowest give the
        interval. Where none was measured, the first ones stand for them.
    """
    measured = epoch_s[:epochs]
    start, later = measured[:first], measured[first:]
    if not later:
        later = start[1:] or start
    left = epochs - len(start)
    return Span(
        mean=(sum(start) + left * fmean(later)) / share,
        low=(sum(start) + left * min(later)) / share,
        high=(sum(start) + left * max(later)) / share,
    )


def format_duration(seconds: float) -> str:
    """A duration such as 45 s, 12 min, 3.2 h."""
    if seconds < 100:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"

"""The answer of a search, in sentences: what to ship, how much faster it is, how accurate, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlflow_nas.search.finalists import FLOOR
from mlflow_nas.types import TrialResult

__all__ = ["Goal", "answer", "choose_champion"]

ROUNDING = 1e-9
"""Tolerance of bounds: the last bits of a subtraction do not count."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the champion has to reach.

    Attributes:
        accuracy: the metric that is the accuracy.
        max_drop: without a goal of speed the champion's accuracy is at most this much below the reference's.
        speedup: relative to the reference; None for no such goal.
        max_latency_ms: milliseconds; None for no such goal.
    """

    accuracy: str = "map"
    max_drop: float = 0.01
    speedup: float | None = None
    max_latency_ms: float | None = None

    @property
    def is_of_speed(self) -> bool:
        """Whether a speed is asked for."""
        return self.speedup is not None or self.max_latency_ms is not None

    def is_met(self, result: TrialResult, reference: TrialResult) -> bool:
        """Whether a result meets it."""
        metrics = result.metrics
        if not self.is_of_speed:
            return metrics[self.accuracy] >= reference.metrics[self.accuracy] - self.max_drop - ROUNDING
        return metrics["speedup"] >= (self.speedup or 0) - ROUNDING and (
            self.max_latency_ms is None or metrics["latency_ms"] <= self.max_latency_ms + ROUNDING
        )

    def __str__(self) -> str:
        parts = [f"{self.speedup:g} times as fast"] if self.speedup is not None else []
        parts += [f"at most {self.max_latency_ms:g} ms"] if self.max_latency_ms is not None else []
        return " and ".join(parts) or f"{self.accuracy} at most {self.max_drop:g} below the reference's"


def choose_champion(shipped: Sequence[TrialResult], reference: TrialResult, goal: Goal) -> TrialResult | None:
    """The most accurate result that meets a goal of speed; without one the fastest that is accurate enough.

    Results with an unstable latency, with less than half of the reference's accuracy, or no faster than the
    reference are none.
    """
    able = [one for one in shipped if _is_faster(one) and goal.is_met(one, reference)]
    floor = FLOOR * reference.metrics[goal.accuracy]
    able = [one for one in able if one.metrics[goal.accuracy] >= floor and not one.latency_unstable]
    name = goal.accuracy if goal.is_of_speed else "speedup"
    return max(able, key=lambda one: one.metrics[name], default=None)


def answer(shipped: Sequence[TrialResult], reference: TrialResult | None, goal: Goal) -> list[str]:
    """Sentences for the end of a search.

    Args:
        shipped: finalists, or the front where none were trained to the end.
        reference: the detector as it was given, else the baseline.
        goal: of the search.
    """
    if reference is None or goal.accuracy not in reference.metrics:
        return ["There is no reference to compare with: the baseline has no complete trial."]
    name = "the detector as given" if reference.role == "reference" else f"the baseline {reference.key}"
    lines = [f"Reference: {name}, {_figures(reference, goal)}."]
    champion = choose_champion(shipped, reference, goal)
    if champion is not None:
        lines.append(f"Ship {champion.key}: {_compared(champion, reference, goal)}.")
    else:
        lines += _nothing_gained(shipped, reference, goal)
    if shipped and all(one.role != "finalist" for one in shipped):
        lines.append(
            "These networks had the short training of a trial: --finalists 4 trains the best to the end."
        )
    return lines


def _is_faster(result: TrialResult) -> bool:
    return result.state == "complete" and result.metrics.get("speedup", 0.0) > 1


def _nothing_gained(shipped: Sequence[TrialResult], reference: TrialResult, goal: Goal) -> list[str]:
    lines = [f"Nothing was gained: no faster network reaches the goal ({goal})."]
    name = "speedup" if goal.is_of_speed else goal.accuracy
    nearest = max(filter(_is_faster, shipped), key=lambda one: one.metrics[name], default=None)
    if nearest is not None:
        lines.append(f"The nearest is {nearest.key}: {_compared(nearest, reference, goal)}.")
    lines.append(
        "What may help: smaller input sizes or another space (`mlflow_nas focus` shows what acts on the "
        "bottleneck), more training images, more epochs (finalists.epochs)."
    )
    return lines


def _figures(result: TrialResult, goal: Goal) -> str:
    accuracy = f"{goal.accuracy} {result.metrics[goal.accuracy]:.3f}"
    latency = result.metrics.get("latency_ms")
    return accuracy if latency is None else f"{accuracy}, {latency:.3g} ms"


def _compared(result: TrialResult, reference: TrialResult, goal: Goal) -> str:
    metrics = result.metrics
    difference = metrics[goal.accuracy] - reference.metrics[goal.accuracy]
    text = (
        f"{metrics['speedup']:.2f} times as fast ({metrics['latency_ms']:.3g} ms), {goal.accuracy} "
        f"{metrics[goal.accuracy]:.3f}, {difference:+.3f}"
    )
    low, high = (metrics.get(f"{goal.accuracy}_difference_ci_{end}") for end in ("low", "high"))
    if low is None or high is None:
        return text
    noise = "may be chance" if low <= 0 <= high else "is more than chance"
    return f"{text} (95 % interval over images {low:+.3f} to {high:+.3f}: the difference {noise})"

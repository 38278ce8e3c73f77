"""The rule that selects a strategy, and when none is selected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlflow_nas.estimate.selection.ranking import Floats
from mlflow_nas.estimate.selection.result import Evidence, Interval
from mlflow_nas.estimate.selection.winner import Noise

__all__ = ["FLOPS", "Limits", "exclusion", "pick", "refusal"]

FLOPS = ("macs", "flops")
"""Names of the baseline score that all others are compared with."""

TIE_SE = 0.5
"""A cheaper strategy is preferred within this number of standard errors of the paired difference: a full one
would cost .02 to .06 of true tau (three public tables, n = 40)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds for a strategy to be eligible, and for the selection to be accepted.

    Attributes:
        candidates: number that the search will score.
        budget_s: seconds for scoring them; None for no limit.
        missing: share of missing scores, exclusive.
        informativeness: least; below, most of a score's variance is between weight seeds.
        tau: least lower bound of the corrected tau.
        noise_ceiling: least tau between two trainings of the same architectures.
    """

    candidates: int = 2_000
    budget_s: float | None = None
    missing: float = 0.05
    informativeness: float = 0.5
    tau: float = 0.2
    noise_ceiling: float = 0.3


def exclusion(evidence: Evidence, limits: Limits) -> str | None:
    """Why a strategy is not eligible; None when it is."""
    cost = evidence.cost_s(limits.candidates)
    if evidence.absent is not None:
        return evidence.absent
    if evidence.missing >= limits.missing:
        return f"misses {evidence.missing:.0%} of the scores, less than {limits.missing:.0%} is allowed"
    if evidence.informativeness is not None and evidence.informativeness < limits.informativeness:
        return f"informativeness {evidence.informativeness:.2f} is below {limits.informativeness:.2f}"
    if limits.budget_s is not None and cost is not None and cost > limits.budget_s:
        return f"{limits.candidates} candidates take {cost:.0f} s, the budget is {limits.budget_s:.0f} s"
    return None


def pick(evidence: Sequence[Evidence], taus: Floats, in_bag: Floats, *, candidates: int) -> int:
    """Index of the largest tau-b [s], or of the cheapest within half a standard error of it.

    Args:
        evidence: the eligible strategies, s of them.
        taus: their tau-b on the sample [s].
        in_bag: their tau-b in the bootstrap draws [B, s].
        candidates: that the search will score.
    """
    best = int(np.argmax(taus))
    errors = np.nanstd(in_bag[:, [best]] - in_bag, axis=0)
    costs = [item.cost_s(candidates) for item in evidence]
    known = [cost if cost is not None else np.inf for cost in costs]
    if costs[best] is None:
        return best
    tied = np.flatnonzero(taus[best] - taus <= TIE_SE * errors)
    return int(min(tied, key=lambda index: (known[index], -taus[index])))


def refusal(corrected: Interval, noise: Noise | None, limits: Limits) -> str | None:
    """Why the evidence is not sufficient; None when it is."""
    if noise is not None and noise.ceiling < limits.noise_ceiling:
        return (
            f"training the same {noise.architectures} architectures twice ranks them with a tau of "
            f"{noise.ceiling:.2f}, at least {limits.noise_ceiling:.2f} is needed"
        )
    if corrected[0] < limits.tau:
        return (
            f"the lower 95 % bound of the corrected tau is {corrected[0]:.2f}, "
            f"at least {limits.tau:.2f} is needed"
        )
    return None

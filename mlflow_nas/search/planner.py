"""Which sampler suits a space and a budget, and whether full trainings fit into the time."""

from collections.abc import Callable
from typing import NamedTuple

from mlflow_nas.search.samplers import SamplerName

__all__ = ["SAMPLER_RULES", "Decision", "SamplerRule", "choose_sampler", "judge_budget"]


class Decision(NamedTuple):
    """What was chosen, and why, in one sentence."""

    choice: str
    because: str


class SamplerRule(NamedTuple):
    """A sampler, when it is chosen (size of the space, number of trials), and why."""

    sampler: SamplerName
    applies: Callable[[int, int], bool]
    because: str


# The first that applies. Optuna's documentation recommends TPE for 100 to 1,000 trials and NSGA-II for 100 to
# 10,000; below 100 TPE stays, whose start is random and which learns from what there is.
SAMPLER_RULES = (
    SamplerRule(
        "random",
        lambda size, trials: trials >= size,
        "every architecture is tried: the order does not matter",
    ),
    SamplerRule(
        "random", lambda _size, trials: trials < 10, "fewer than 10 trials: no sampler learns from so few"
    ),
    SamplerRule("tpe", lambda _size, trials: trials <= 1000, "10 to 1,000 trials: TPE learns from few"),
    SamplerRule(
        "nsga2", lambda _size, _trials: True, "more than 1,000 trials: enough generations for NSGA-II"
    ),
)


def choose_sampler(size: int, trials: int) -> tuple[SamplerName, Decision]:
    """The sampler for a space of that size and so many trials, and the decision in words."""
    rule = next(rule for rule in SAMPLER_RULES if rule.applies(size, trials))
    return rule.sampler, Decision(rule.sampler, f"{trials} trials of {size} architectures: {rule.because}")


def judge_budget(*, trials: int, trial_s: float, budget_s: float) -> Decision:
    """Whether so many trials fit into the time.

    Args:
        trials: that are wanted.
        trial_s: measured seconds of one.
        budget_s: seconds that there are.
    """
    sum_of_work = f"{trials} trials of {trial_s:.0f} s take {trials * trial_s:.0f} s of {budget_s:.0f} s"
    if trials * trial_s <= budget_s:
        return Decision("full training", sum_of_work)
    return Decision(
        "estimate recommended",
        f"{sum_of_work}: only {int(budget_s // trial_s)} are trained, so rank by an estimate",
    )

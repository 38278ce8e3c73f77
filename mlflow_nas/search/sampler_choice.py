"""Rules for the sampler."""

from collections.abc import Callable
from typing import NamedTuple

from mlflow_nas.config import SearchConfig
from mlflow_nas.search.context import StudyConfig

__all__ = ["SAMPLER_RULES", "Decision", "SamplerRule", "choose_sampler", "decide_sampler", "number_of_trials"]


class Decision(NamedTuple):
    """A choice with its reason in one sentence."""

    choice: str
    because: str


class SamplerRule(NamedTuple):
    """A sampler, the condition on (size of the space, number of trials), and the reason."""

    sampler: str
    applies: Callable[[int, int], bool]
    because: str


# The first that applies. Optuna's documentation recommends TPE for 100 to 1,000 trials and NSGA-II for 100 to
# 10,000; below 100 TPE stays, which starts at random.
SAMPLER_RULES = (
    SamplerRule(
        "random",
        lambda size, trials: trials >= size,
        "every architecture is evaluated: the order does not matter",
    ),
    SamplerRule("random", lambda _size, trials: trials < 10, "fewer than 10 trials are too few for a model"),
    SamplerRule("tpe", lambda _size, trials: trials <= 1000, "10 to 1,000 trials suit TPE"),
    SamplerRule(
        "nsga2", lambda _size, _trials: True, "more than 1,000 trials are enough generations for NSGA-II"
    ),
)


def choose_sampler(size: int, trials: int) -> tuple[str, Decision]:
    """The sampler for the size of a space and a number of trials, and the decision."""
    rule = next(rule for rule in SAMPLER_RULES if rule.applies(size, trials))
    return rule.sampler, Decision(rule.sampler, f"{trials} trials of {size} architectures: {rule.because}")


def decide_sampler(config: StudyConfig, size: int) -> tuple[str, Decision]:
    """The sampler of a command; samples that strategies are selected on are drawn at random.

    Args:
        config: of the command.
        size: of the space.
    """
    if not isinstance(config, SearchConfig):
        return "random", Decision("random", "a random sample of the space")
    name = config.search.sampler
    if name == "auto":
        return choose_sampler(size, config.search.trials)
    return name, Decision(name, "as set by search.sampler")


def number_of_trials(config: StudyConfig) -> int:
    """Trials of the study that a command wants, or the samples of a selection."""
    return config.search.trials if isinstance(config, SearchConfig) else config.selection.samples

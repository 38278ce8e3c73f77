"""The table of performance-estimation strategies; `contract.Strategy` says what its columns mean."""

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Strategy
from mlflow_nas.estimate.zerocost.counts import act_elems, macs, params

__all__ = ["STRATEGIES", "strategy_named"]

STRATEGIES: tuple[Strategy, ...] = (
    Strategy(
        name="params",
        family="zero-cost",
        needs=("model",),
        cost_class="C0",
        reference="baseline",
        score=params,
    ),
    Strategy(
        name="macs",
        family="zero-cost",
        needs=("model",),
        cost_class="C0",
        reference="baseline",
        score=macs,
    ),
    Strategy(
        name="act_elems",
        family="zero-cost",
        needs=("model",),
        cost_class="C0",
        reference="arXiv:2003.13678",
        score=act_elems,
    ),
)


def strategy_named(name: str) -> Strategy:
    """The row of that name.

    Raises:
        ConfigError: there is none.
    """
    for strategy in STRATEGIES:
        if strategy.name == name:
            return strategy
    names = ", ".join(strategy.name for strategy in STRATEGIES)
    raise ConfigError(f"There is no estimation strategy {name!r}: choose one of {names}.")

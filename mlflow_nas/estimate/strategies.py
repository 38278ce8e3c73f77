"""The table of performance-estimation strategies; `contract.Strategy` says what its columns mean."""

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Strategy
from mlflow_nas.estimate.curves.early import early_stop_map, tse_e, tse_ema
from mlflow_nas.estimate.curves.extrapolate import lce_ensemble
from mlflow_nas.estimate.ranks import log_rank_sum
from mlflow_nas.estimate.zerocost.az_nas import az_expressivity, az_progressivity, az_trainability
from mlflow_nas.estimate.zerocost.counts import act_elems, macs, params
from mlflow_nas.estimate.zerocost.deepmad import deepmad
from mlflow_nas.estimate.zerocost.gradients import fisher, grad_norm, l2_norm, snip
from mlflow_nas.estimate.zerocost.grasp import grasp
from mlflow_nas.estimate.zerocost.jacov import jacov
from mlflow_nas.estimate.zerocost.nwot import nwot
from mlflow_nas.estimate.zerocost.synflow import synflow
from mlflow_nas.estimate.zerocost.zen import zen
from mlflow_nas.estimate.zerocost.zico import zico

__all__ = ["STRATEGIES", "strategy_named"]

_AZ_PARTS = (
    Strategy(
        name="az_expressivity",
        family="zero-cost",
        needs=("init",),
        cost_class="C1",
        reference="arXiv:2403.19232",
        score=az_expressivity,
    ),
    Strategy(
        name="az_progressivity",
        family="zero-cost",
        needs=("init",),
        cost_class="C1",
        reference="arXiv:2403.19232",
        score=az_progressivity,
    ),
    Strategy(
        name="az_trainability",
        family="zero-cost",
        needs=("init",),
        cost_class="C2",
        reference="arXiv:2403.19232",
        score=az_trainability,
    ),
    Strategy(
        name="az_complexity",
        family="zero-cost",
        needs=("model",),
        cost_class="C0",
        reference="arXiv:2403.19232",
        score=macs,
    ),
)

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
    Strategy(
        name="l2_norm",
        family="zero-cost",
        needs=("init",),
        cost_class="C0",
        reference="arXiv:2101.08134",
        score=l2_norm,
    ),
    Strategy(
        name="grad_norm",
        family="zero-cost",
        needs=("init", "batch", "labels"),
        cost_class="C2",
        reference="arXiv:2101.08134",
        score=grad_norm,
    ),
    Strategy(
        name="snip",
        family="zero-cost",
        needs=("init", "batch", "labels"),
        cost_class="C2",
        reference="arXiv:1810.02340",
        score=snip,
    ),
    Strategy(
        name="fisher",
        family="zero-cost",
        needs=("init", "batch", "labels"),
        cost_class="C2",
        reference="arXiv:1906.04113",
        score=fisher,
    ),
    Strategy(
        name="grasp",
        family="zero-cost",
        needs=("init", "batch", "labels"),
        cost_class="C3",
        reference="arXiv:2002.07376",
        score=grasp,
    ),
    Strategy(
        name="synflow",
        family="zero-cost",
        needs=("init",),
        cost_class="C2",
        reference="arXiv:2006.05467",
        score=synflow,
    ),
    Strategy(
        name="jacov",
        family="zero-cost",
        needs=("init", "batch"),
        cost_class="C2",
        reference="arXiv:2006.04647v1",
        score=jacov,
    ),
    Strategy(
        name="nwot",
        family="zero-cost",
        needs=("init", "batch"),
        cost_class="C1",
        reference="arXiv:2006.04647v3",
        score=nwot,
    ),
    Strategy(
        name="zen",
        family="zero-cost",
        needs=("init",),
        cost_class="C1",
        reference="arXiv:2102.01063",
        score=zen,
    ),
    Strategy(
        name="zico",
        family="zero-cost",
        needs=("init", "batch", "labels"),
        cost_class="C2",
        reference="arXiv:2301.11300",
        score=zico,
    ),
    Strategy(
        name="deepmad",
        family="zero-cost",
        needs=("model",),
        cost_class="C0",
        reference="arXiv:2303.02165",
        score=deepmad,
    ),
    Strategy(
        name="early_stop_map",
        family="learning-curve",
        needs=("epochs",),
        cost_class="C4",
        reference="White et al., NeurIPS 2021",
        curve=early_stop_map,
    ),
    Strategy(
        name="tse_e",
        family="learning-curve",
        direction="lower",
        needs=("epochs",),
        cost_class="C4",
        reference="arXiv:2006.04492",
        curve=tse_e,
    ),
    Strategy(
        name="tse_ema",
        family="learning-curve",
        direction="lower",
        needs=("epochs",),
        cost_class="C4",
        reference="arXiv:2006.04492",
        curve=tse_ema,
    ),
    Strategy(
        name="lce_ensemble",
        family="learning-curve",
        needs=("epochs",),
        cost_class="C4",
        reference="Domhan et al., IJCAI 2015",
        curve=lce_ensemble,
    ),
    Strategy(
        name="az_nas",
        family="aggregation",
        needs=("init", "pool"),
        cost_class="C2",
        reference="arXiv:2403.19232",
        aggregate=log_rank_sum,
        parts=_AZ_PARTS,
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

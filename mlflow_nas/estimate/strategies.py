"""The table of performance-estimation strategies; its columns are documented in `contract.Strategy`."""

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Strategy
from mlflow_nas.estimate.curves.early import early_stop, tse_e, tse_ema
from mlflow_nas.estimate.curves.extrapolate import lce_ensemble
from mlflow_nas.estimate.models.ranks import log_rank_sum, mean_rank
from mlflow_nas.estimate.models.regressors import (
    fit_bayesian_ridge,
    fit_forest,
    fit_gaussian_process,
    fit_lightgbm,
    fit_nu_svr,
    fit_svr,
    fit_xgboost,
)
from mlflow_nas.estimate.one_shot import supernet
from mlflow_nas.estimate.zerocost.az_nas import az_expressivity, az_progressivity, az_trainability
from mlflow_nas.estimate.zerocost.counts import act_elems, deepmad, macs, params
from mlflow_nas.estimate.zerocost.gradients import fisher, grad_norm, grasp, l2_norm, snip
from mlflow_nas.estimate.zerocost.jacov import jacov
from mlflow_nas.estimate.zerocost.nwot import nwot
from mlflow_nas.estimate.zerocost.synflow import synflow
from mlflow_nas.estimate.zerocost.zen import zen
from mlflow_nas.estimate.zerocost.zico import zico

__all__ = ["STRATEGIES", "strategy_named"]

# Two lines per row, so that the table reads down its columns.
# fmt: off
_AZ_PARTS = (
    Strategy(name="az_expressivity", family="zero-cost", needs=("init",), cost_class="C1",
             reference="arXiv:2403.19232", score=az_expressivity),
    Strategy(name="az_progressivity", family="zero-cost", needs=("init",), cost_class="C1",
             reference="arXiv:2403.19232", score=az_progressivity),
    Strategy(name="az_trainability", family="zero-cost", needs=("init",), cost_class="C2",
             reference="arXiv:2403.19232", score=az_trainability),
    Strategy(name="az_complexity", family="zero-cost", needs=("model",), cost_class="C0",
             reference="arXiv:2403.19232", score=macs),
)
_SYNFLOW = Strategy(name="synflow", family="zero-cost", needs=("init",), cost_class="C2",
                    reference="arXiv:2006.05467", score=synflow)
_NWOT = Strategy(name="nwot", family="zero-cost", needs=("init", "batch"), cost_class="C1",
                 reference="arXiv:2006.04647v3", score=nwot)
_ZEN = Strategy(name="zen", family="zero-cost", needs=("init",), cost_class="C1",
                reference="arXiv:2102.01063", score=zen)
_TSE_E = Strategy(name="tse_e", family="learning-curve", direction="lower", needs=("epochs",),
                  cost_class="C4", reference="arXiv:2006.04492", curve=tse_e)

STRATEGIES: tuple[Strategy, ...] = (
    Strategy(name="params", family="zero-cost", needs=("model",), cost_class="C0",
             reference="baseline", score=params),
    Strategy(name="macs", family="zero-cost", needs=("model",), cost_class="C0",
             reference="baseline", score=macs),
    Strategy(name="act_elems", family="zero-cost", needs=("model",), cost_class="C0",
             reference="arXiv:2003.13678", score=act_elems),
    Strategy(name="l2_norm", family="zero-cost", needs=("init",), cost_class="C0",
             reference="arXiv:2101.08134", score=l2_norm),
    Strategy(name="grad_norm", family="zero-cost", needs=("init", "batch", "labels"), cost_class="C2",
             reference="arXiv:2101.08134", score=grad_norm),
    Strategy(name="snip", family="zero-cost", needs=("init", "batch", "labels"), cost_class="C2",
             reference="arXiv:1810.02340", score=snip),
    Strategy(name="fisher", family="zero-cost", needs=("init", "batch", "labels"), cost_class="C2",
             reference="arXiv:1906.04113", score=fisher),
    Strategy(name="grasp", family="zero-cost", needs=("init", "batch", "labels"), cost_class="C3",
             reference="arXiv:2002.07376", score=grasp),
    _SYNFLOW,
    Strategy(name="jacov", family="zero-cost", needs=("init", "batch"), cost_class="C2",
             reference="arXiv:2006.04647v1", score=jacov),
    _NWOT,
    _ZEN,
    Strategy(name="zico", family="zero-cost", needs=("init", "batch", "labels"), cost_class="C2",
             reference="arXiv:2301.11300", score=zico),
    Strategy(name="deepmad", family="zero-cost", needs=("model",), cost_class="C0",
             reference="arXiv:2303.02165", score=deepmad),
    Strategy(name="early_stop", family="learning-curve", needs=("epochs",), cost_class="C4",
             reference="White et al., NeurIPS 2021", curve=early_stop),
    _TSE_E,
    Strategy(name="tse_ema", family="learning-curve", direction="lower", needs=("epochs",), cost_class="C4",
             reference="arXiv:2006.04492", curve=tse_ema),
    Strategy(name="lce_ensemble", family="learning-curve", needs=("epochs",), cost_class="C4",
             reference="Domhan et al., IJCAI 2015", curve=lce_ensemble),
    Strategy(name="bayesian_ridge", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=10, reference="MacKay, Neural Computation 1992", fit=fit_bayesian_ridge,
             features=("encoding", "complexity")),
    Strategy(name="gp", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=15, reference="Rasmussen and Williams 2006", fit=fit_gaussian_process,
             features=("encoding", "complexity"), crossfit="within-folds"),
    Strategy(name="svr", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=15, reference="Smola and Schoelkopf 2004", fit=fit_svr,
             features=("encoding", "complexity")),
    Strategy(name="rf", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=20, reference="Breiman 2001", fit=fit_forest,
             features=("encoding", "complexity"), crossfit="within-folds"),
    Strategy(name="xgboost", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=20, reference="arXiv:1603.02754", fit=fit_xgboost,
             features=("encoding", "complexity")),
    Strategy(name="lgbm", family="model-based", needs=("model", "samples"), cost_class="C0",
             min_samples=25, reference="Ke et al., NeurIPS 2017", fit=fit_lightgbm,
             features=("encoding", "complexity")),
    Strategy(name="lcsvr", family="hybrid", needs=("model", "epochs", "samples"), cost_class="C4",
             min_samples=30, reference="arXiv:1705.10823", fit=fit_nu_svr,
             features=("curve", "complexity"), crossfit="within-folds"),
    Strategy(name="br_zc", family="hybrid", needs=("init", "batch", "labels", "samples", "pool"),
             cost_class="C2", min_samples=15, reference="arXiv:2210.03230", fit=fit_bayesian_ridge,
             features=("zero-cost",)),
    Strategy(name="rf_zc", family="hybrid", needs=("init", "batch", "labels", "samples", "pool"),
             cost_class="C2", min_samples=20, reference="arXiv:2210.03230", fit=fit_forest,
             features=("encoding", "zero-cost"), crossfit="within-folds"),
    Strategy(name="omni_lite", family="hybrid", needs=("init", "batch", "epochs", "samples"),
             cost_class="C4", min_samples=30, reference="arXiv:2104.01177", fit=fit_bayesian_ridge,
             features=("encoding", "parts"), parts=(_NWOT, _TSE_E)),
    Strategy(name="az_nas", family="aggregation", needs=("init", "pool"), cost_class="C2",
             reference="arXiv:2403.19232", aggregate=log_rank_sum, parts=_AZ_PARTS),
    Strategy(name="vote", family="aggregation", needs=("init", "batch", "pool"), cost_class="C2",
             reference="arXiv:2101.08134", aggregate=mean_rank, parts=(_SYNFLOW, _NWOT, _ZEN)),
    Strategy(name="supernet", family="one-shot", needs=("supernet",), cost_class="C3",
             reference="arXiv:1908.09791, arXiv:2003.11142", one_shot=supernet),
)
# fmt: on


def strategy_named(name: str) -> Strategy:
    """The row with a name.

    Raises:
        ConfigError: there is none.
    """
    for strategy in STRATEGIES:
        if strategy.name == name:
            return strategy
    names = ", ".join(strategy.name for strategy in STRATEGIES)
    raise ConfigError(f"There is no estimation strategy {name!r}: choose one of {names}.")

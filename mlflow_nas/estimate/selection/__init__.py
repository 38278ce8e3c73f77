"""Statistics of the selection of a strategy: arrays in, arrays out."""

from mlflow_nas.estimate.selection.bootstrap import draw_weights, interval, out_of_bag, weighted_tau_b
from mlflow_nas.estimate.selection.crossfit import leave_pair_out, within_folds
from mlflow_nas.estimate.selection.decide import Limits
from mlflow_nas.estimate.selection.protocol import MIN_SAMPLES, select_strategy
from mlflow_nas.estimate.selection.ranking import Floats, Pairs, pairs_of, ranks, spearman, tau_b
from mlflow_nas.estimate.selection.result import Evidence, SelectionResult, StrategyResult
from mlflow_nas.estimate.selection.winner import Noise, corrected_tau, informativeness, noise_of

__all__ = [
    "MIN_SAMPLES",
    "Evidence",
    "Floats",
    "Limits",
    "Noise",
    "Pairs",
    "SelectionResult",
    "StrategyResult",
    "corrected_tau",
    "draw_weights",
    "informativeness",
    "interval",
    "leave_pair_out",
    "noise_of",
    "out_of_bag",
    "pairs_of",
    "ranks",
    "select_strategy",
    "spearman",
    "tau_b",
    "weighted_tau_b",
    "within_folds",
]

"""Dominance, front, hypervolume, knee and selection: arrays in, arrays out."""

from mlflow_nas.pareto.dominance import dominators, non_dominated
from mlflow_nas.pareto.indicators import hypervolume, knee
from mlflow_nas.pareto.ranking import selection_order

__all__ = ["dominators", "hypervolume", "knee", "non_dominated", "selection_order"]

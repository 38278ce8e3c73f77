"""Dominance, front, hypervolume and knee: arrays in, arrays out."""

from mlflow_nas.pareto.dominance import dominators, non_dominated
from mlflow_nas.pareto.indicators import hypervolume, knee

__all__ = ["dominators", "hypervolume", "knee", "non_dominated"]

"""The Pareto front in MLflow's model registry: versions, tags, aliases."""

from mlflow_nas.registry.checks import disqualification, objectives_of
from mlflow_nas.registry.holders import Goal, Version, choose_holders
from mlflow_nas.registry.pins import pin, unpin
from mlflow_nas.registry.plan import DEFAULT_OBJECTIVES, Change, Plan, Primary, alias_names, make_plan
from mlflow_nas.registry.reconcile import Reconciliation, reconcile
from mlflow_nas.registry.register import register_model

__all__ = [
    "DEFAULT_OBJECTIVES",
    "Change",
    "Goal",
    "Plan",
    "Primary",
    "Reconciliation",
    "Version",
    "alias_names",
    "choose_holders",
    "disqualification",
    "make_plan",
    "objectives_of",
    "pin",
    "reconcile",
    "register_model",
    "unpin",
]

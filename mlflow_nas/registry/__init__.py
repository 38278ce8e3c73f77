"""The Pareto front in MLflow's model registry: versions, tags, aliases."""

from mlflow_nas.registry.plan import DEFAULT_OBJECTIVES, Change, Plan, Version, make_plan
from mlflow_nas.registry.reconcile import Reconciliation, reconcile
from mlflow_nas.registry.register import register_model

__all__ = [
    "DEFAULT_OBJECTIVES",
    "Change",
    "Plan",
    "Reconciliation",
    "Version",
    "make_plan",
    "reconcile",
    "register_model",
]

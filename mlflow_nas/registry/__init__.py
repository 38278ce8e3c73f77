"""The model registry holds the Pareto front: versions, tags, aliases."""

from mlflow_nas.registry.plan import Change, Plan, Version, make_plan
from mlflow_nas.registry.reconcile import Reconciliation, reconcile
from mlflow_nas.registry.register import register_model

__all__ = ["Change", "Plan", "Reconciliation", "Version", "make_plan", "reconcile", "register_model"]

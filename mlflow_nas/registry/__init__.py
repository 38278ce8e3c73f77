"""The Pareto front in MLflow's model registry: versions, tags, aliases."""

from mlflow_nas.registry.checks import FLOOR, disqualification, first_objective, objectives_of
from mlflow_nas.registry.holders import Goal, Version, choose_holders
from mlflow_nas.registry.pins import pin, unpin
from mlflow_nas.registry.plan import DEFAULT_OBJECTIVES, Change, Plan, Primary, alias_names, make_plan
from mlflow_nas.registry.receiver import Receiver
from mlflow_nas.registry.reconcile import Reconciliation, reconcile
from mlflow_nas.registry.reference import RegisteredReference, find_reference, newest_reference
from mlflow_nas.registry.register import register_model
from mlflow_nas.registry.watch import watch
from mlflow_nas.registry.webhook import check_webhook, install_webhook, remove_webhook, serve_webhook

__all__ = [
    "DEFAULT_OBJECTIVES",
    "FLOOR",
    "Change",
    "Goal",
    "Plan",
    "Primary",
    "Receiver",
    "Reconciliation",
    "RegisteredReference",
    "Version",
    "alias_names",
    "check_webhook",
    "choose_holders",
    "disqualification",
    "find_reference",
    "first_objective",
    "install_webhook",
    "make_plan",
    "newest_reference",
    "objectives_of",
    "pin",
    "reconcile",
    "register_model",
    "remove_webhook",
    "serve_webhook",
    "unpin",
    "watch",
]

"""The supernet of a study's space: trained once, a source of scores."""

from mlflow_nas.trial.supernet.scores import Supernet
from mlflow_nas.trial.supernet.training import open_supernet, supernet_steps

__all__ = ["Supernet", "open_supernet", "supernet_steps"]

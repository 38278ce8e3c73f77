"""The supernet of a study's space: trained once, a source of scores."""

from mlflow_nas.trial.supernet.scores import Supernet
from mlflow_nas.trial.supernet.training import open_supernet

__all__ = ["Supernet", "open_supernet"]

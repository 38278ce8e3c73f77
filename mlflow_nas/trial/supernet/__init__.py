"""The supernet of a study's space: trained once, a source of scores."""

from mlflow_nas.trial.supernet.scores import Supernet
from mlflow_nas.trial.supernet.start import FROM_SUPERNET, start_of, supernet_weights
from mlflow_nas.trial.supernet.training import open_supernet, supernet_steps

__all__ = ["FROM_SUPERNET", "Supernet", "open_supernet", "start_of", "supernet_steps", "supernet_weights"]

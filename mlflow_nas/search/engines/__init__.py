"""Where trials are evaluated: on this machine, or by an engine on others."""

from mlflow_nas.search.engines.executor import EngineExecutor
from mlflow_nas.search.engines.protocol import LOST, Engine
from mlflow_nas.search.engines.remote import Report, TrialCall
from mlflow_nas.search.engines.table import ENGINES, make_executor

__all__ = ["ENGINES", "LOST", "Engine", "EngineExecutor", "Report", "TrialCall", "make_executor"]

"""What is known of a candidate without training it to the end."""

from mlflow_nas.estimate.complexity import complexity
from mlflow_nas.estimate.contract import Probe, Score, Strategy, UndefinedScoreError
from mlflow_nas.estimate.run import run_strategy
from mlflow_nas.estimate.strategies import STRATEGIES, strategy_named

__all__ = [
    "STRATEGIES",
    "Probe",
    "Score",
    "Strategy",
    "UndefinedScoreError",
    "complexity",
    "run_strategy",
    "strategy_named",
]

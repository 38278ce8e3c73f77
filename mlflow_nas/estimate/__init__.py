"""What is known of a candidate without training it to the end."""

from mlflow_nas.estimate.choose import Chooser, Measured, choose_from_table
from mlflow_nas.estimate.complexity import complexity
from mlflow_nas.estimate.contract import Curve, Floats, Probe, Score, Strategy, UndefinedScoreError
from mlflow_nas.estimate.evidence import evidence_of, evidence_of_score
from mlflow_nas.estimate.facts import Facts
from mlflow_nas.estimate.gather import gather, single_strategies
from mlflow_nas.estimate.predict import candidate_scores
from mlflow_nas.estimate.run import run_strategy
from mlflow_nas.estimate.strategies import STRATEGIES, strategy_named
from mlflow_nas.estimate.table import MeasuredTable, read_table

__all__ = [
    "STRATEGIES",
    "Chooser",
    "Curve",
    "Facts",
    "Floats",
    "Measured",
    "MeasuredTable",
    "Probe",
    "Score",
    "Strategy",
    "UndefinedScoreError",
    "candidate_scores",
    "choose_from_table",
    "complexity",
    "evidence_of",
    "evidence_of_score",
    "gather",
    "read_table",
    "run_strategy",
    "single_strategies",
    "strategy_named",
]

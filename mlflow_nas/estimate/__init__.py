"""Performance estimation: quality of an architecture without training it to the end."""

from mlflow_nas.estimate.contract import (
    Curve,
    Floats,
    Score,
    ScoringInputs,
    Strategy,
    SupernetScore,
    UndefinedScoreError,
)
from mlflow_nas.estimate.curves.early import LOSS, QUALITY
from mlflow_nas.estimate.evidence import evidence_of, evidence_of_score
from mlflow_nas.estimate.features import ArchitectureFeatures, compute_features, single_strategies
from mlflow_nas.estimate.models.latency import LatencyModel, fit_latency
from mlflow_nas.estimate.network import complexity
from mlflow_nas.estimate.predict import candidate_scores
from mlflow_nas.estimate.run import run_strategy
from mlflow_nas.estimate.scoring_images import ScoringImages, no_images, scoring_images
from mlflow_nas.estimate.selector import SelectionData, StrategySelector, select_from_table
from mlflow_nas.estimate.strategies import STRATEGIES, strategy_named
from mlflow_nas.estimate.table import MeasuredTable, read_table

__all__ = [
    "LOSS",
    "QUALITY",
    "STRATEGIES",
    "ArchitectureFeatures",
    "Curve",
    "Floats",
    "LatencyModel",
    "MeasuredTable",
    "Score",
    "ScoringImages",
    "ScoringInputs",
    "SelectionData",
    "Strategy",
    "StrategySelector",
    "SupernetScore",
    "UndefinedScoreError",
    "candidate_scores",
    "complexity",
    "compute_features",
    "evidence_of",
    "evidence_of_score",
    "fit_latency",
    "no_images",
    "read_table",
    "run_strategy",
    "scoring_images",
    "select_from_table",
    "single_strategies",
    "strategy_named",
]

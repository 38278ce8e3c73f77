"""The tags and prefixes that runs, logged models and model versions share."""

from typing import Final

__all__ = [
    "ARCHITECTURE",
    "BOARD",
    "CHOICES",
    "CLASSES",
    "CONSTRAINT",
    "COST",
    "CURVE",
    "DATASET",
    "DRAWN",
    "ERROR",
    "ESTIMATOR",
    "FACT",
    "KEY",
    "LATENCY_UNSTABLE",
    "PARENT",
    "PRECISION",
    "ROLE",
    "SHA256",
    "SHORTLIST",
    "SPACE",
    "STATE",
    "STUDY",
    "TEST_DATASET",
    "THREADS",
    "TRAINING",
    "TRIAL",
]

STUDY: Final = "nas.study"
TRIAL: Final = "nas.trial"
ROLE: Final = "nas.role"
BOARD: Final = "nas.board"
SPACE: Final = "nas.space"
CHOICES: Final = "nas.choices"
DATASET: Final = "nas.dataset"
TEST_DATASET: Final = "nas.test_dataset"
"""Of a study: a digest of the test split, which decides nothing; figures of two splits don't mix."""
STATE: Final = "nas.state"
KEY: Final = "nas.key"
PRECISION: Final = "nas.precision"
THREADS: Final = "nas.threads"
TRAINING: Final = "nas.training"
"""Of a study: how each of its candidates is trained; results of different trainings are not compared."""
ERROR: Final = "nas.error"
LATENCY_UNSTABLE: Final = "nas.latency_unstable"
SHA256: Final = "nas.sha256"
ESTIMATOR: Final = "nas.estimator"
"""Of a trial: the strategy whose estimate chose it. A trial without is a sample that any strategy may use."""
DRAWN: Final = "nas.drawn"
"""Of a trial: "random" when chance chose it among the whole space; such trials are a fair sample of it."""
CLASSES: Final = "nas.classes"

SHORTLIST: Final = "nas.shortlist."
"""Prefix of the study's tags that hold, by strategy, a digest of the settings of its list of candidates."""

COST: Final = "cost."
"""Prefix of the study's metrics `cost.STRATEGY/TERM`: what each of its searches cost and found."""

ARCHITECTURE: Final = "arch."
"""Prefix of the run params that hold the architecture."""

CONSTRAINT: Final = "constraint/"
"""Prefix of the run metrics that hold the constraints; MLflow's UI folds what stands before the slash."""

CURVE: Final = "epoch/"
"""Prefix of the learning curve: MLflow shows the value of the highest step, so an epoch's `map` under the
trial's own name would hide the trial's."""

FACT: Final = "nas.board."
"""Prefix of the run tags that hold what the board said of itself."""

PARENT: Final = "mlflow.parentRunId"

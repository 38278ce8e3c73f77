"""The tags and prefixes that runs, logged models and model versions share."""

from typing import Final

__all__ = [
    "ARCHITECTURE",
    "BOARD",
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
    "NOTE",
    "PARENT",
    "PROTOCOL",
    "ROLE",
    "RUNTIME",
    "SELECTION",
    "SHA256",
    "SPACE",
    "STATE",
    "STUDY",
    "TASK",
    "TRIAL",
    "TRIGGER",
    "UID",
]

UID: Final = "nas.uid"
"""STUDY/TRIAL, unique also among studies of one name: a run has it from its creation and is found by it."""
STUDY: Final = "nas.study"
TRIAL: Final = "nas.trial"
ROLE: Final = "nas.role"
TRIGGER: Final = "nas.trigger"
"""By which a command changed the registry or a device: a user's command, a search, the watcher, a webhook."""
BOARD: Final = "nas.board"
RUNTIME: Final = "nas.runtime"
SPACE: Final = "nas.space"
TASK: Final = "nas.task"
DATASET: Final = "nas.dataset"
PROTOCOL: Final = "nas.protocol"
"""A digest of threads, providers, session options and affinity: equal where latencies compare."""
STATE: Final = "nas.state"
KEY: Final = "nas.key"
ERROR: Final = "nas.error"
LATENCY_UNSTABLE: Final = "nas.latency_unstable"
SHA256: Final = "nas.sha256"
CLASSES: Final = "nas.classes"
ESTIMATOR: Final = "nas.estimator"
"""Of a trial: the strategy whose estimate chose it. A trial without it is a sample for any strategy."""
DRAWN: Final = "nas.drawn"
"""Of a trial: "random" when it was drawn at random from the whole space."""
SELECTION: Final = "nas.selection"
"""Of a study: the run of its last selection of a strategy."""

COST: Final = "cost."
"""Prefix of the study's metrics `cost.STRATEGY/TERM`: costs and results of its searches."""

ARCHITECTURE: Final = "arch."
"""Prefix of the run params that hold the architecture."""

CONSTRAINT: Final = "constraint/"
"""Prefix of the run metrics that hold the constraints; MLflow's UI groups metrics by it."""

CURVE: Final = "epoch/"
"""Prefix of the learning curve: MLflow shows the value of the highest step, so an epoch's `map` under the
trial's own name would hide the trial's."""

FACT: Final = "nas.board."
"""Prefix of the run tags that hold the facts of the board."""

PARENT: Final = "mlflow.parentRunId"
NOTE: Final = "mlflow.note.content"
"""The run's description in MLflow's UI."""

"""One trial: an architecture and a study's context go in, a TrialResult comes out."""

from mlflow_nas.trial.cache import Entry, StepCache, file_digest, fingerprint
from mlflow_nas.trial.context import StudyContext, dataset_tag
from mlflow_nas.trial.given import AS_GIVEN, GivenDetector, given_detector
from mlflow_nas.trial.given_file import GivenFile, open_given_file
from mlflow_nas.trial.given_measurement import measure_given
from mlflow_nas.trial.limits import METRICS, Metric, check_limits, estimates, parse_limits, parse_objectives
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.trial.rerun import KEPT_TRIAL, run_again
from mlflow_nas.trial.schedule import default_epochs, finishing_epochs
from mlflow_nas.trial.steps import (
    STEPS,
    float_latency_ratio,
    reference_latency_ms,
    run_trial,
    screen,
    time_steps,
)
from mlflow_nas.trial.supernet import (
    FROM_SUPERNET,
    Supernet,
    open_supernet,
    start_of,
    supernet_steps,
)

__all__ = [
    "AS_GIVEN",
    "FROM_SUPERNET",
    "KEPT_TRIAL",
    "METRICS",
    "STEPS",
    "Entry",
    "GivenDetector",
    "GivenFile",
    "Listener",
    "Metric",
    "Silent",
    "StepCache",
    "StudyContext",
    "Supernet",
    "check_limits",
    "dataset_tag",
    "default_epochs",
    "estimates",
    "file_digest",
    "fingerprint",
    "finishing_epochs",
    "float_latency_ratio",
    "given_detector",
    "measure_given",
    "open_given_file",
    "open_supernet",
    "parse_limits",
    "parse_objectives",
    "reference_latency_ms",
    "run_again",
    "run_trial",
    "screen",
    "start_of",
    "supernet_steps",
    "time_steps",
]

"""Evaluations to MLflow runs and back; every call takes the client and the run."""

from mlflow_nas.tracking.attach import (
    NamedData,
    describe,
    fetch_file,
    fetch_model,
    has_file,
    log_dataset,
    log_file,
    log_json,
    log_measurement,
    log_table,
    read_json,
    run_metrics,
    run_tags,
)
from mlflow_nas.tracking.costs import StudyCosts, study_costs
from mlflow_nas.tracking.model import LoggedInt8, log_int8_model
from mlflow_nas.tracking.profile import log_profile
from mlflow_nas.tracking.read import evaluation_of, learning_curve, trial_runs
from mlflow_nas.tracking.selection import finish_selection, start_selection
from mlflow_nas.tracking.server import Client, address, connect, default_uri, server_call
from mlflow_nas.tracking.study import close_study, experiment_id, experiment_of, open_study
from mlflow_nas.tracking.trial import TrialRole, fail_stale, finish_trial, interrupt_trial, start_trial

__all__ = [
    "Client",
    "LoggedInt8",
    "NamedData",
    "StudyCosts",
    "TrialRole",
    "address",
    "close_study",
    "connect",
    "default_uri",
    "describe",
    "evaluation_of",
    "experiment_id",
    "experiment_of",
    "fail_stale",
    "fetch_file",
    "fetch_model",
    "finish_selection",
    "finish_trial",
    "has_file",
    "interrupt_trial",
    "learning_curve",
    "log_dataset",
    "log_file",
    "log_int8_model",
    "log_json",
    "log_measurement",
    "log_profile",
    "log_table",
    "open_study",
    "read_json",
    "run_metrics",
    "run_tags",
    "server_call",
    "start_selection",
    "start_trial",
    "study_costs",
    "trial_runs",
]

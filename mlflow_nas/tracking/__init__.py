"""Studies and trials as MLflow runs; MLflow is a mirror, written through an outbox on disk."""

from mlflow_nas.tracking.artifacts import fetch_file, fetch_model, log_file, log_table, model_files
from mlflow_nas.tracking.command_runs import (
    describe,
    finish_selection,
    log_changes,
    log_command,
    log_measurement,
    log_profile,
    start_selection,
)
from mlflow_nas.tracking.costs import StudyCosts, study_costs
from mlflow_nas.tracking.mirror import Mirror
from mlflow_nas.tracking.model import log_model, model_content
from mlflow_nas.tracking.read import StudyRuns, read_results, runs_of_study
from mlflow_nas.tracking.runs import DatasetLink, ModelFiles, StudyRun, TrialRun
from mlflow_nas.tracking.server import (
    DEFAULT_EXPERIMENT,
    Client,
    connect,
    default_uri,
    experiment_id,
    experiment_of,
    find_experiment,
    server_call,
)
from mlflow_nas.tracking.shared_view import set_view, view_link

__all__ = [
    "DEFAULT_EXPERIMENT",
    "Client",
    "DatasetLink",
    "Mirror",
    "ModelFiles",
    "StudyCosts",
    "StudyRun",
    "StudyRuns",
    "TrialRun",
    "connect",
    "default_uri",
    "describe",
    "experiment_id",
    "experiment_of",
    "fetch_file",
    "fetch_model",
    "find_experiment",
    "finish_selection",
    "log_changes",
    "log_command",
    "log_file",
    "log_measurement",
    "log_model",
    "log_profile",
    "log_table",
    "model_content",
    "model_files",
    "read_results",
    "runs_of_study",
    "server_call",
    "set_view",
    "start_selection",
    "study_costs",
    "view_link",
]

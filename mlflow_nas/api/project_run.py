"""The run that `mlflow run` made for a command: its experiment, its params, the command's result."""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_nas.config import (
    CommandConfig,
    TrackingSection,
    as_params,
    experiment_id_from_environment,
    take_project_run_id,
)
from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import (
    Client,
    connect,
    default_uri,
    experiment_id,
    experiment_of,
    log_file,
    log_measurement,
    server_call,
)

__all__ = ["experiment_for", "params_for", "record"]

_log = logging.getLogger(__name__)


def experiment_for(client: Client, run_id: str | None, tracking: TrackingSection) -> str:
    """The experiment of the project's run, the one that is configured, or that of MLFLOW_EXPERIMENT_ID.

    One that is missing is created by its name.
    """
    if run_id:
        return experiment_of(client, run_id)
    of_environment = experiment_id_from_environment()
    if of_environment and "experiment" not in tracking.model_fields_set:
        return of_environment
    return experiment_id(client, tracking.experiment)


@server_call("read the run of the project")
def params_for(client: Client, config: CommandConfig, run_id: str | None) -> dict[str, str]:
    """The configuration as params, without those that the project's run has under their option's name."""
    return as_params(config, client.get_run(run_id).data.params if run_id else {})


def record(result: Mapping[str, Any], *, role: str, metrics: Mapping[str, float] | None = None) -> None:
    """Log a command's result in the run that `mlflow run` made for it; without one nothing is logged.

    The command has done its work: when MLflow does not answer, that is a warning.

    Args:
        result: plain JSON values, stored as the artifact ROLE.json.
        role: of the run: the command's name.
        metrics: of the run.
    """
    run_id = take_project_run_id()
    if run_id is None:
        return
    client = connect(default_uri())
    try:
        log_measurement(client, run_id, metrics or {}, {"nas.role": role})
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{role}.json"
            file.write_text(json.dumps(result, indent=1, default=str), encoding="utf-8")
            log_file(client, run_id, file)
    except RegistryError as error:
        _log.warning("The result of %s is not in its MLflow run: %s", role, error)

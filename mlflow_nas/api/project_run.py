"""The run that `mlflow run` made for a command: its experiment and its params."""

from mlflow_nas.config import (
    CommandConfig,
    TrackingSection,
    as_params,
    experiment_id_from_environment,
)
from mlflow_nas.tracking import Client, experiment_id, experiment_of, server_call

__all__ = ["experiment_for", "params_for"]


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

"""`mlflow_nas rollback`: the previous version on a device."""

from pathlib import Path

from mlflow_nas.api.deploy import as_deployed
from mlflow_nas.api.results import DeployResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import RollbackConfig, take_project_run_id

__all__ = ["rollback"]


def rollback(
    settings: RollbackConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> DeployResult:
    """Make the previous version of a deployment active again; no MLflow server is needed.

    What was changed is recorded in a run of the role "deployment": that of `mlflow run`, or one of its own.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or there is no previous version.
        BoardError: the device can't be reached, or its application fails with the version.
    """
    chosen = read_settings(RollbackConfig, settings, options, config)
    from mlflow_nas.deployments import rollback as roll_back

    manifest = roll_back(
        chosen.device,
        chosen.name,
        devices=chosen.inventory,
        trigger="rollback",
        run_id=take_project_run_id(),
    )
    return as_deployed(manifest)

"""`mlflow_nas rollback`: the version before, on a device."""

from pathlib import Path

from mlflow_nas.config import RollbackConfig, load_config

__all__ = ["rollback"]


def rollback(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Make the previous version of a deployment active again; no MLflow server is needed.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.RollbackConfig`.

    Returns:
        The manifest that is active now.

    Raises:
        ConfigError: an option, or there is no previous version; BoardError: the device can't be reached, or
        is not well with it.
    """
    chosen = load_config(RollbackConfig, options, file=config)
    from mlflow_nas.deployments import rollback as go_back

    return go_back(chosen.device, chosen.name, devices=chosen.devices)

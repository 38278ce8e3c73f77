"""`mlflow_nas deploy`: a promoted model to a device."""

from pathlib import Path

from mlflow_nas.config import DeployConfig, load_config

__all__ = ["deploy"]


def deploy(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Make a model version the active one on a device, new or updated.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.DeployConfig`.

    Returns:
        The manifest that the device keeps.

    Raises:
        ConfigError: an option, or a model that must be forced; RegistryError: there is no such version;
        CandidateError: it fails on the device; BoardError: the device can't be reached, or is not well then.
    """
    chosen = load_config(DeployConfig, options, file=config)
    from mlflow_nas.deployments import Options
    from mlflow_nas.deployments import deploy as push
    from mlflow_nas.tracking import connect, default_uri

    return push(
        connect(default_uri()),
        chosen.model,
        device=chosen.device,
        devices=chosen.devices,
        name=chosen.name,
        options=Options(
            force=chosen.force,
            max_regression=chosen.max_regression,
            via=chosen.via,
            atomic=chosen.atomic,
        ),
    )

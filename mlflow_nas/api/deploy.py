"""`mlflow_nas deploy`: a model version to a device."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlflow_nas.api.results import DeployResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import DeployConfig, take_project_run_id

__all__ = ["as_deployed", "deploy"]


def deploy(
    settings: DeployConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> DeployResult:
    """Make a model version the active one on a device, new or updated.

    What was changed is recorded in a run of the role "deployment": that of `mlflow run`, or one of its own.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        on_step: called with the name of each step.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or a model that must be forced.
        RegistryError: there is no such version.
        CandidateError: it fails on the device.
        BoardError: the device can't be reached, or its application fails with the version.
    """
    chosen = read_settings(DeployConfig, settings, options, config)
    from mlflow_nas.deployments import Options
    from mlflow_nas.deployments import deploy as push
    from mlflow_nas.tracking import connect, default_uri

    manifest = push(
        connect(default_uri()),
        chosen.model,
        device=chosen.device,
        devices=chosen.inventory,
        name=chosen.name,
        options=Options(
            force=chosen.force,
            max_regression=chosen.max_regression,
            max_drop=chosen.max_drop,
            threshold=chosen.threshold,
            via=chosen.via,
            atomic=chosen.atomic,
        ),
        trigger="deploy",
        run_id=take_project_run_id(),
        on_step=on_step,
    )
    return as_deployed(manifest)


def as_deployed(manifest: Mapping[str, Any]) -> DeployResult:
    """A manifest, with those of a group's devices under `devices`, as a result."""
    own = {name: value for name, value in manifest.items() if name != "devices"}
    return DeployResult(manifest=own, devices=manifest.get("devices"))

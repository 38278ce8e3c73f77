"""Back to the version before."""

import logging
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from mlflow_nas.deployments.note import note_switch
from mlflow_nas.deployments.switch import roll_back
from mlflow_nas.deployments.target import find_target
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import connect

__all__ = ["rollback"]

_log = logging.getLogger(__name__)


def rollback(device: str, name: str, *, devices: Path | None = None) -> dict[str, Any]:
    """Make the previous version active again, after verifying its file; the active one becomes previous.

    No server is needed: the device keeps both.

    Args:
        device: from the device inventory.
        name: of the deployment.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.

    Returns:
        The manifest that is active now.

    Raises:
        ConfigError: unknown device or name, or there is no previous version.
        BoardError: the device can't be reached, the previous file is damaged, or the application is not well
            with it: then the version before stays.
    """
    (found,) = find_target(device, devices).devices
    change = roll_back(found, name)
    client = _client()
    if client is not None:
        note_switch(client, found.name, change.after, change.before)
    return change.after


def _client() -> MlflowClient | None:
    try:
        return connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    except ConfigError as error:
        _log.warning("the rollback is not noted in MLflow: %s", error)
        return None

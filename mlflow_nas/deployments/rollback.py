"""Back to the version before."""

import logging
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from mlflow_nas.deployments.note import note_switch
from mlflow_nas.deployments.rollout import roll_out, summary
from mlflow_nas.deployments.switch import Change, roll_back
from mlflow_nas.deployments.target import find_target
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import connect
from mlflow_nas.types import Device

__all__ = ["rollback"]

_log = logging.getLogger(__name__)


def rollback(device: str, name: str, *, devices: Path | None = None) -> dict[str, Any]:
    """Make the previous version active again, after verifying its file; the active one becomes previous.

    No server is needed: the device keeps both.

    Args:
        device: NAME from the device inventory, or group/NAME: one after the other, up to the first failure.
        name: of the deployment.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.

    Returns:
        The manifest that is active now; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or name, or there is no previous version.
        BoardError: the device can't be reached, the previous file is damaged, or the application is not well
            with it: then the version before stays.
    """
    target, client = find_target(device, devices), _client()

    def step(one: Device) -> Change:
        change = roll_back(one, name)
        if client is not None:
            note_switch(client, one.name, change.after, change.before)
        return change

    return summary(target, roll_out(target, step))


def _client() -> MlflowClient | None:
    try:
        return connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    except ConfigError as error:
        _log.warning("the rollback is not noted in MLflow: %s", error)
        return None

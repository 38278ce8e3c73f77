"""A model version on a device or a group: deployed, or rolled back."""

import logging
import tempfile
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.pull import publish
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.deployments.rollout import find_target, roll_out, summary
from mlflow_nas.deployments.switch import Change, Mode, deploy_release, roll_back, undo
from mlflow_nas.deployments.tags import tag_active, tag_undone
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import connect
from mlflow_nas.types import Device

__all__ = ["deploy", "rollback"]

_log = logging.getLogger(__name__)
_STRICT = Options()


def deploy(
    client: MlflowClient,
    model_uri: str,
    *,
    device: str,
    devices: Path | None = None,
    name: str | None = None,
    options: Options = _STRICT,
    mode: Mode = "either",
) -> dict[str, Any]:
    """Make a model version the active one on a device, or on a group of them, one after the other.

    The alias is resolved once. The device verifies the file's sha256, runs the golden samples, whose outputs
    are compared, and measures latency, which is compared with the device's limit and the active version; then
    one atomic rename switches, and the device's `activate` and `health` must succeed. After any failure the
    active version is the same as before.

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS, models:/NAME/VERSION, or NAME for its champion.
        device: NAME from the device inventory, or group/NAME. A measurement on one device of a group counts
            for all of them, and a rollout stops at its first failure.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        name: of the deployment; None for the registered model's.
        options: limits, and the route of the file.
        mode: "create" refuses a name that exists, "update" one that does not.

    Returns:
        The manifest on the device; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or URI, a name that exists or does not, a model that needs force.
        RegistryError: there is no such version, or its file is not the measured one.
        CandidateError: its outputs differ on the device, or it is too slow there.
        BoardError: the device can't be reached, or `activate` or `health` failed.
    """
    target = find_target(device, devices)
    uri = model_uri if ":" in model_uri else f"models:/{model_uri}@champion"
    with tempfile.TemporaryDirectory() as folder:
        release = fetch_release(client, uri, folder=Path(folder))
        deployment = name or release.model
        url = publish(release, options.via) if options.via else None
        boards = {one.name for one in target.devices}

        def step(one: Device) -> Change:
            change = deploy_release(
                one, release, name=deployment, mode=mode, options=options, measured_on=boards, url=url
            )
            tag_active(client, one.name, change.after, change.before)
            return change

        def revert(one: Device, change: Change) -> None:
            undo(one, deployment, change)
            tag_undone(client, one.name, change.after, change.before)

        changes = roll_out(target, step, undo=revert if options.atomic else None)
    return summary(target, changes)


def rollback(device: str, name: str, *, devices: Path | None = None) -> dict[str, Any]:
    """Make the previous version active again, after verifying its file; the active one becomes previous.

    The device has both versions: no server is needed.

    Args:
        device: NAME from the device inventory, or group/NAME: one after the other, up to the first failure.
        name: of the deployment.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.

    Returns:
        The manifest that is active now; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or name, or there is no previous version.
        BoardError: the device can't be reached, the previous file is damaged, or `activate` or `health`
            failed with it: then the active version stays.
    """
    target, client = find_target(device, devices), _registry()

    def step(one: Device) -> Change:
        change = roll_back(one, name)
        if client is not None:
            tag_active(client, one.name, change.after, change.before)
        return change

    return summary(target, roll_out(target, step))


def _registry() -> MlflowClient | None:
    try:
        return connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    except ConfigError as error:
        _log.warning("the rollback is not recorded in MLflow: %s", error)
        return None

"""A model version on a device or a group: deployed, or rolled back."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from mlflow import MlflowClient

from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.pull import upload
from mlflow_nas.deployments.record import recording
from mlflow_nas.deployments.release import (
    Release,
    fetch_release,
    fetch_unregistered,
    is_registered,
    resolve_version,
)
from mlflow_nas.deployments.rollout import find_target, roll_out, summary
from mlflow_nas.deployments.switch import (
    Change,
    Mode,
    check_mode,
    deploy_release,
    roll_back,
    undo,
    verify_release,
)
from mlflow_nas.deployments.tags import tag_active, tag_undone
from mlflow_nas.errors import ConfigError
from mlflow_nas.redact import redact
from mlflow_nas.tracking import connect
from mlflow_nas.types import Device

__all__ = ["deploy", "rollback", "verify_locally"]

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
    trigger: str = "python",
    run_id: str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
) -> dict[str, Any]:
    """Make a model version the active one on a device, or on a group of them, one after the other.

    The alias is resolved once. The device verifies the file's sha256, runs the golden samples, whose outputs
    are compared, and measures latency, which is compared with the device's limit and the active version; then
    one atomic rename switches, and the device's `activate` and `health` must succeed. After any failure the
    active version is the same as before. What was changed is recorded in a run of the role "deployment".

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS, models:/NAME/VERSION, or NAME for its champion; with `force` and a name
            for the deployment any other model of MLflow.
        device: NAME from the device inventory, or group/NAME. A measurement on one device of a group counts
            for all of them, and a rollout stops at its first failure.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        name: of the deployment; None for the registered model's.
        options: limits, and the route of the file.
        mode: "create" refuses a name that exists, "update" one that does not.
        trigger: by which the call came, for the record.
        run_id: the run that has the record; None makes one.
        on_step: called with the name of each step.

    Returns:
        The manifest on the device; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or URI, a name that exists or does not, a model that needs force.
        RegistryError: there is no such version, or its file is not the measured one.
        CandidateError: its outputs differ on the device, or it is too slow there.
        BoardError: the device can't be reached, or `activate` or `health` failed.
    """
    target = find_target(device, devices)
    uri = _uri(model_uri)
    deployment = _deployment_name(client, uri, name, options)
    for one in target.devices:
        check_mode(one, deployment, mode)
    with (
        tempfile.TemporaryDirectory() as folder,
        recording(client, deployment, trigger=trigger, run_id=run_id) as add,
    ):
        on_step(f"fetch {redact(uri)}")
        release = _fetch(client, uri, Path(folder), deployment)
        url = upload(release, options.via) if options.via else None
        boards = {one.name for one in target.devices}

        def step(one: Device) -> Change:
            on_step(f"verify on {one.name}, then switch")
            change = deploy_release(
                one, release, name=deployment, mode=mode, options=options, measured_on=boards, url=url
            )
            add(one.name, change.before, change.after, redact(model_uri))
            tag_active(client, one.name, change.after, change.before)
            return change

        def revert(one: Device, change: Change) -> None:
            undo(one, deployment, change)
            add(one.name, change.after, change.before, "the rollout stopped")
            tag_undone(client, one.name, change.after, change.before)

        changes = roll_out(target, step, undo=revert if options.atomic else None)
    return summary(target, changes)


def verify_locally(
    client: MlflowClient, model_uri: str, *, name: str, options: Options = _STRICT
) -> dict[str, Any]:
    """Run a version's checks on this machine; nothing is installed, so that it can be repeated.

    Args:
        client: of the registry.
        model_uri: as for `deploy`.
        name: in the manifest.
        options: `force`.

    Returns:
        The manifest that a deployment would store, with its verification.

    Raises:
        NasError: as `deploy`.
    """
    (device,) = find_target("local").devices
    uri = _uri(model_uri)
    _deployment_name(client, uri, name, options)
    with tempfile.TemporaryDirectory() as folder:
        release = _fetch(client, uri, Path(folder), name)
        return verify_release(device, release, name=name, options=options)


def rollback(
    device: str,
    name: str,
    *,
    devices: Path | None = None,
    trigger: str = "python",
    run_id: str | None = None,
) -> dict[str, Any]:
    """Make the previous version active again, after verifying its file; the active one becomes previous.

    The device has both versions: no server is needed. Where there is one, it has the record, as of `deploy`.

    Args:
        device: NAME from the device inventory, or group/NAME: one after the other, up to the first failure.
        name: of the deployment.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        trigger: by which the call came, for the record.
        run_id: the run that has the record; None makes one.

    Returns:
        The manifest that is active now; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or name, or there is no previous version.
        BoardError: the device can't be reached, the previous file is damaged, or `activate` or `health`
            failed with it: then the active version stays.
    """
    target, client = find_target(device, devices), _registry()

    with recording(client, name, trigger=trigger, run_id=run_id) as add:

        def step(one: Device) -> Change:
            change = roll_back(one, name)
            add(one.name, change.before, change.after, "rolled back")
            if client is not None:
                tag_active(client, one.name, change.after, change.before)
            return change

        return summary(target, roll_out(target, step))


def _uri(model_uri: str) -> str:
    return model_uri if ":" in model_uri else f"models:/{model_uri}@champion"


def _deployment_name(client: MlflowClient, uri: str, name: str | None, options: Options) -> str:
    """The deployment's name; a version that does not exist is refused before a device is asked.

    Raises:
        ConfigError: the model is not registered, without force or a name.
        RegistryError: there is no such version.
    """
    if is_registered(uri):
        return name or str(resolve_version(client, uri).name)
    if not options.force or name is None:
        raise ConfigError(
            f"{redact(uri)} is no registered version, so nothing is known of its latency and accuracy: give "
            "models:/NAME@ALIAS or models:/NAME/VERSION, or force=true and a name for the deployment."
        )
    return name


def _fetch(client: MlflowClient, uri: str, folder: Path, name: str) -> Release:
    if is_registered(uri):
        return fetch_release(client, uri, folder=folder)
    return fetch_unregistered(client, uri, folder=folder, name=name)


def _registry() -> MlflowClient | None:
    try:
        return connect(mlflow.get_tracking_uri(), mlflow.get_registry_uri())
    except ConfigError as error:
        _log.warning("the rollback is not recorded in MLflow: %s", error)
        return None

"""A model version to a device: proved there, switched atomically, the one before kept."""

import tempfile
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.deployments.note import note_switch, note_undone
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.pull import publish
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.deployments.rollout import roll_out, summary
from mlflow_nas.deployments.switch import Change, Mode, bring, take_back
from mlflow_nas.deployments.target import find_target
from mlflow_nas.types import Device

__all__ = ["deploy"]

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

    The alias is resolved once. On the device the file's sha256 is verified, the golden samples are run and
    compared, latency is measured and held against the device's limit and the active version; then one atomic
    rename switches, and the device's `activate` and `health` must succeed. Whatever fails leaves the active
    version as it was.

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS, models:/NAME/VERSION, or NAME for its champion.
        device: NAME from the device inventory, or group/NAME. In a group what was measured on one device
            counts for all of them, and a rollout stops at its first failure.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        name: on the device; None for the registered model's.
        options: how strict this is.
        mode: "create" refuses a name that exists, "update" one that does not.

    Returns:
        The manifest that the device keeps; for a group the first one, with all of them under `devices`.

    Raises:
        ConfigError: unknown device or URI, a name that exists or does not, a model that must be forced.
        RegistryError: there is no such version, or its file is not the one that was measured.
        CandidateError: the device computes something else with it, or it is too slow there.
        BoardError: the device can't be reached, or its application is not well with the version.
    """
    target = find_target(device, devices)
    uri = model_uri if ":" in model_uri else f"models:/{model_uri}@champion"
    with tempfile.TemporaryDirectory() as folder:
        release = fetch_release(client, uri, folder=Path(folder))
        chosen = name or release.model
        url = publish(release, options.via) if options.via else None
        measured_on = {one.name for one in target.devices}

        def step(one: Device) -> Change:
            change = bring(
                one, release, name=chosen, mode=mode, options=options, measured_on=measured_on, url=url
            )
            note_switch(client, one.name, change.after, change.before)
            return change

        def undo(one: Device, change: Change) -> None:
            take_back(one, chosen, change)
            note_undone(client, one.name, change.after, change.before)

        changes = roll_out(target, step, undo=undo if options.atomic else None)
    return summary(target, changes)

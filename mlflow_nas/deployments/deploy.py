"""A model version to a device: proved there, switched atomically, the one before kept."""

import tempfile
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.deployments.note import note_switch
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.release import fetch_release
from mlflow_nas.deployments.switch import Mode, bring
from mlflow_nas.deployments.target import find_target

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
    """Make a model version the active one on a device.

    The alias is resolved once. On the device the file's sha256 is verified, the golden samples are run and
    compared, latency is measured and held against the device's limit and the active version; then one atomic
    rename switches, and the device's `activate` and `health` must succeed. Whatever fails leaves the active
    version as it was.

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS, models:/NAME/VERSION, or NAME for its champion.
        device: from the device inventory.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        name: on the device; None for the registered model's.
        options: how strict this is.
        mode: "create" refuses a name that exists, "update" one that does not.

    Returns:
        The manifest that the device keeps.

    Raises:
        ConfigError: unknown device or URI, a name that exists or does not, a model that must be forced.
        RegistryError: there is no such version, or its file is not the one that was measured.
        CandidateError: the device computes something else with it, or it is too slow there.
        BoardError: the device can't be reached, or its application is not well with the version.
    """
    (found,) = find_target(device, devices).devices
    uri = model_uri if ":" in model_uri else f"models:/{model_uri}@champion"
    with tempfile.TemporaryDirectory() as folder:
        release = fetch_release(client, uri, folder=Path(folder))
        chosen = name or release.model
        change = bring(found, release, name=chosen, mode=mode, options=options, measured_on={found.name})
    note_switch(client, found.name, change.after, change.before)
    return change.after

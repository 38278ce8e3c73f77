"""Push a model version to a device: verify there, switch atomically, keep the one before."""

import tempfile
from pathlib import Path
from typing import Any, Literal

from mlflow import MlflowClient

from mlflow_nas.board import DeviceBoard, get_board
from mlflow_nas.config import find_device
from mlflow_nas.deployments.release import Release, fetch_release
from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import server_call

__all__ = ["deploy", "device_board"]

Mode = Literal["create", "update", "either"]


def device_board(device: str, devices: Path | None = None) -> DeviceBoard:
    """The device of that name in the inventory `devices`; None for the usual one.

    Raises:
        ConfigError: there is none.
    """
    return get_board(find_device(device, devices))


def deploy(
    client: MlflowClient,
    model_uri: str,
    *,
    device: str,
    devices: Path | None = None,
    name: str | None = None,
    force: bool = False,
    mode: Mode = "either",
) -> dict[str, Any]:
    """Make a model version the active one on a device.

    The alias is resolved once, the file's sha256 is compared with the measured one before and after the
    transfer, the device runs the model once, and one atomic rename switches. Whatever fails before leaves
    the active version as it was.

    Args:
        client: of the registry.
        model_uri: models:/NAME@ALIAS, models:/NAME/VERSION, or NAME for its champion.
        device: from the device inventory.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        name: on the device; None for the registered model's.
        force: deploy also what is not int8 or was not measured.
        mode: "create" refuses a name that exists, "update" one that does not.

    Returns:
        The manifest that the device keeps.

    Raises:
        ConfigError: unknown device or URI, a name that exists or does not, a model that must be forced.
        RegistryError: there is no such version, or its file is not the one that was measured.
        BoardError: the device can't be reached or refuses.
    """
    board = device_board(device, devices)
    uri = model_uri if ":" in model_uri else f"models:/{model_uri}@champion"
    with tempfile.TemporaryDirectory() as folder:
        release = fetch_release(client, uri, folder=Path(folder))
        _refuse_unfit(release, force=force)
        chosen = name or release.model
        _check_name(board, chosen, mode)
        manifest = board.install(chosen, release.file, release.manifest)
    _note(client, release, device, chosen)
    return manifest


def _refuse_unfit(release: Release, *, force: bool) -> None:
    if force:
        return
    said = f"Version {release.version} of {release.model}"
    if release.precision != "int8":
        raise ConfigError(f"{said} is {release.precision}, not int8: quantize it, or give force=true.")
    if release.board is None:
        raise ConfigError(f"{said} has no measured latency: measure it, or give force=true.")


def _check_name(board: DeviceBoard, name: str, mode: Mode) -> None:
    exists = mode != "either" and board.get_model(name) is not None
    if mode == "create" and exists:
        raise ConfigError(f"{board.name} already has a deployment {name!r}: use update.")
    if mode == "update" and not exists:
        raise ConfigError(f"{board.name} has no deployment {name!r}: use create.")


@server_call("note the deployment")
def _note(client: MlflowClient, release: Release, device: str, name: str) -> None:
    client.set_model_version_tag(release.model, release.version, f"deploy.{device}", name)

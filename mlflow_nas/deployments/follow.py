"""Deploy on promotion: devices follow the champion of a registered model."""

import logging
from contextlib import closing
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.deployments.deploy import deploy
from mlflow_nas.deployments.options import Options
from mlflow_nas.deployments.rollout import find_target
from mlflow_nas.deployments.tags import repair_claims, tag_failed
from mlflow_nas.errors import BoardError, NasError
from mlflow_nas.registry import alias_names
from mlflow_nas.tracking import server_call
from mlflow_nas.types import Device

__all__ = ["follow"]

_log = logging.getLogger(__name__)

FOLLOWED = "nas.followed."
"""Prefix of the tags of the registered model: the champion that each device was given last. An operator who
rolls a device back is not overruled."""


def follow(
    client: MlflowClient, model: str, *, device: str, devices: Path | None = None, trigger: str = "python"
) -> dict[str, dict[str, Any]]:
    """Give each device the champion that it has not been given yet, one device after the other.

    A device takes `champion-<its name>` where there is such an alias, else `champion`. A version that fails
    on a device is refused there, recorded as `deploy.DEVICE.error`, and not tried again; a device that can't
    be reached is tried at the next call. The registry's tags of the device are those of its manifest.

    Args:
        client: of the registry.
        model: the registered model, also the deployment's name.
        device: NAME from the device inventory, or group/NAME.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.
        trigger: by which the call came, for the record.

    Returns:
        Device to manifest, of those that got the champion now.

    Raises:
        ConfigError: there is no such device.
        BoardError: a device can't be reached; those before it are done.
        RegistryError: MLflow does not answer.
    """
    given = {}
    for one in find_target(device, devices).devices:
        _repair(client, model, one)
        wanted, known = _champion(client, model, one.name)
        if wanted is None or wanted == known:
            continue
        try:
            given[one.name] = deploy(
                client,
                f"models:/{model}/{wanted}",
                device=one.name,
                devices=devices,
                name=model,
                options=Options(max_regression=None, max_drop=None),  # the goal of the champion has decided
                trigger=trigger,
            )
        except BoardError:
            raise
        except NasError as error:
            _log.warning("%s keeps its version: %s", one.name, error)
            tag_failed(client, one.name, model, wanted, str(error))
        _remember(client, model, one.name, wanted)
    return given


def _repair(client: MlflowClient, model: str, device: Device) -> None:
    with closing(get_board(device)) as board:
        active = DeployedModels(board).find(model)
    repair_claims(client, device.name, model, active and active.manifest)


@server_call("find the champion", "check that it runs, then rerun the same command")
def _champion(client: MlflowClient, model: str, device: str) -> tuple[str | None, str | None]:
    """The version of the champion, and the one that the device was given last."""
    found = client.get_registered_model(model)
    names = (alias_names(device)["champion"], alias_names(None)["champion"])
    version = next((found.aliases[name] for name in names if name in found.aliases), None)
    return None if version is None else str(version), found.tags.get(f"{FOLLOWED}{device}")


@server_call("record the deployment", "the device is changed all the same")
def _remember(client: MlflowClient, model: str, device: str, version: str) -> None:
    client.set_registered_model_tag(model, f"{FOLLOWED}{device}", version)

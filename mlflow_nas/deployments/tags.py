"""Tags of model versions that record deployments in MLflow; an unreachable server is only a warning."""

import logging
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import server_call

__all__ = ["tag_active", "tag_removed", "tag_undone"]

_log = logging.getLogger(__name__)
_PURPOSE = ("record the deployment", "the device is changed all the same")

Manifest = Mapping[str, Any]


def tag_active(client: MlflowClient, device: str, manifest: Manifest, before: Manifest | None) -> None:
    """Set `deploy.DEVICE` = name and `deploy.DEVICE.latency_raw_ms`, removed from the previous version."""
    try:
        if before is not None and _version(before) != _version(manifest):
            _untag(client, device, before)
        _tag(client, device, manifest)
    except RegistryError as error:
        _log.warning("%s is deployed on %s, but %s", manifest["name"], device, error)


def tag_undone(client: MlflowClient, device: str, after: Manifest, before: Manifest | None) -> None:
    """Restore the tags before `tag_active`."""
    if before is None:
        tag_removed(client, device, after)
    else:
        tag_active(client, device, before, after)


def tag_removed(client: MlflowClient, device: str, manifest: Manifest) -> None:
    """Remove the tags of a version that is no longer on the device."""
    try:
        _untag(client, device, manifest)
    except RegistryError as error:
        _log.warning("%s is removed from %s, but %s", manifest["name"], device, error)


def _version(manifest: Manifest) -> tuple[str, str]:
    return str(manifest.get("model")), str(manifest.get("version"))


def _names(device: str) -> tuple[str, str]:
    return f"deploy.{device}", f"deploy.{device}.latency_raw_ms"


@server_call(*_PURPOSE)
def _tag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    values = (manifest["name"], manifest.get("verification", {}).get("latency_raw_ms"))
    for name, value in zip(_names(device), values, strict=True):
        if value is not None:
            client.set_model_version_tag(*_version(manifest), name, str(value))


@server_call(*_PURPOSE)
def _untag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    model, version = _version(manifest)
    tags = client.get_model_version(model, version).tags
    if tags.get(f"deploy.{device}") != manifest["name"]:
        return
    for name in _names(device):
        if name in tags:
            client.delete_model_version_tag(model, version, name)

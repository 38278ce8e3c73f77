"""Tags of model versions that record deployments in MLflow; an unreachable server is only a warning."""

import logging
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.redact import redact
from mlflow_nas.tracking import server_call

__all__ = ["repair_claims", "tag_active", "tag_failed", "tag_removed", "tag_undone"]

_log = logging.getLogger(__name__)
_PURPOSE = ("record the deployment", "the device is changed all the same")

_TAG_CHARACTERS = 5_000

Manifest = Mapping[str, Any]


def tag_active(client: MlflowClient, device: str, manifest: Manifest, before: Manifest | None) -> None:
    """Set `deploy.DEVICE` = name and `deploy.DEVICE.latency_raw_ms`, removed from every other version."""
    if not manifest.get("registered", True):
        return
    try:
        if before is not None and before.get("model") != manifest.get("model"):
            _untag(client, device, before)
        _claim(client, device, manifest)
    except RegistryError as error:
        _log.warning("%s is deployed on %s, but %s", manifest["name"], device, error)


def repair_claims(client: MlflowClient, device: str, name: str, manifest: Manifest | None) -> None:
    """Make the tags those of the device's manifest, also after a host that died between switch and record.

    Args:
        client: the MLflow client.
        device: of the inventory.
        name: of the deployment, and of its registered model.
        manifest: of the active version; None where the device has none.
    """
    try:
        if manifest is None:
            for version in _claimants(client, device, name, name):
                _remove(client, device, name, version)
        else:
            _claim(client, device, manifest)
    except RegistryError as error:
        _log.warning("The versions of %s that claim %s are not checked: %s", name, device, error)


@server_call(*_PURPOSE)
def tag_failed(client: MlflowClient, device: str, model: str, version: str, error: str) -> None:
    """Record on a version why a device has refused it.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.set_model_version_tag(model, version, f"deploy.{device}.error", redact(error)[:_TAG_CHARACTERS])


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


def _claim(client: MlflowClient, device: str, manifest: Manifest) -> None:
    """Tag the manifest's version, and no other of its model under that name."""
    model, active = _version(manifest)
    for version in _claimants(client, device, model, str(manifest["name"])):
        if version != active:
            _remove(client, device, model, version)
    _tag(client, device, manifest)


@server_call(*_PURPOSE)
def _claimants(client: MlflowClient, device: str, model: str, name: str) -> list[str]:
    """The versions that are recorded as the active one of a deployment on a device."""
    found = client.search_model_versions(f"name='{model}' AND tags.`deploy.{device}` = '{name}'")
    return [str(version.version) for version in found]


@server_call(*_PURPOSE)
def _tag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    values = (manifest["name"], manifest.get("verification", {}).get("latency_raw_ms"))
    tags = client.get_model_version(*_version(manifest)).tags
    for name, value in zip(_names(device), values, strict=True):
        if value is not None and tags.get(name) != str(value):
            client.set_model_version_tag(*_version(manifest), name, str(value))
    if f"deploy.{device}.error" in tags:
        client.delete_model_version_tag(*_version(manifest), f"deploy.{device}.error")


@server_call(*_PURPOSE)
def _untag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    model, version = _version(manifest)
    if client.get_model_version(model, version).tags.get(f"deploy.{device}") == manifest["name"]:
        _remove(client, device, model, version)


@server_call(*_PURPOSE)
def _remove(client: MlflowClient, device: str, model: str, version: str) -> None:
    tags = client.get_model_version(model, version).tags
    for name in _names(device):
        if name in tags:
            client.delete_model_version_tag(model, version, name)

"""What MLflow remembers of deployments; the device knows better, so a server that is gone stops nothing."""

import logging
from collections.abc import Mapping
from typing import Any

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import server_call

__all__ = ["note_removal", "note_switch", "note_undone"]

_log = logging.getLogger(__name__)

Manifest = Mapping[str, Any]


def note_switch(client: MlflowClient, device: str, manifest: Manifest, before: Manifest | None) -> None:
    """Tag the active version `deploy.DEVICE` = name and `deploy.DEVICE.latency_ms`, untag the one before."""
    try:
        if before is not None and _version(before) != _version(manifest):
            _untag(client, device, before)
        _tag(client, device, manifest)
    except RegistryError as error:
        _log.warning("%s is deployed on %s, but %s", manifest["name"], device, error)


def note_undone(client: MlflowClient, device: str, after: Manifest, before: Manifest | None) -> None:
    """Tag as if `note_switch` had not been."""
    if before is None:
        note_removal(client, device, after)
    else:
        note_switch(client, device, before, after)


def note_removal(client: MlflowClient, device: str, manifest: Manifest) -> None:
    """Take the tags from a version that is on the device no more."""
    try:
        _untag(client, device, manifest)
    except RegistryError as error:
        _log.warning("%s is removed from %s, but %s", manifest["name"], device, error)


def _version(manifest: Manifest) -> tuple[str, str]:
    return str(manifest.get("model")), str(manifest.get("version"))


@server_call("note the deployment", "the device has it all the same")
def _tag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    model, version = _version(manifest)
    client.set_model_version_tag(model, version, f"deploy.{device}", manifest["name"])
    latency_ms = manifest.get("proof", {}).get("latency_ms")
    if latency_ms is not None:
        client.set_model_version_tag(model, version, f"deploy.{device}.latency_ms", repr(latency_ms))


@server_call("note the deployment", "the device has it all the same")
def _untag(client: MlflowClient, device: str, manifest: Manifest) -> None:
    model, version = _version(manifest)
    tags = client.get_model_version(model, version).tags
    if tags.get(f"deploy.{device}") != manifest["name"]:
        return
    for tag in (f"deploy.{device}", f"deploy.{device}.latency_ms"):
        if tag in tags:
            client.delete_model_version_tag(model, version, tag)

"""The record of deployments: a run of the role "deployment" with one line per device that was changed."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from mlflow import MlflowClient

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import log_changes

__all__ = ["Add", "recording"]

_log = logging.getLogger(__name__)

Manifest: TypeAlias = Mapping[str, Any]
Add: TypeAlias = Callable[[str, Manifest | None, Manifest | None, str], None]
"""add(device, manifest before, manifest after, why)"""

_KEPT = ("model", "version", "sha256", "run_id")


@contextmanager
def recording(
    client: MlflowClient | None, deployment: str, *, trigger: str, run_id: str | None = None
) -> Iterator[Add]:
    """Collect the changes of devices and store them at the end, also those before a failure.

    The devices are changed: when MLflow does not answer, that is a warning.

    Args:
        client: of the registry; None stores nothing.
        deployment: its name on the devices.
        trigger: by which the changes came, such as deploy, watch or webhook.
        run_id: the run that `mlflow run` made; None makes one where a device was changed.

    Yields:
        Adds one change; the same version once more is none.
    """
    changes: list[dict[str, object]] = []

    def add(device: str, before: Manifest | None, after: Manifest | None, why: str) -> None:
        verification = (after or {}).get("verification", {})
        versions = {"before": _version(before), "after": _version(after)}
        if versions["before"] == versions["after"]:
            return  # deployed again: it was verified, and nothing was changed
        changes.append({"device": device, "name": deployment, **versions, "why": why, **verification})

    try:
        yield add
    finally:
        if client is not None and changes:
            _store(client, deployment, changes, trigger, run_id)


def _store(
    client: MlflowClient,
    deployment: str,
    changes: list[dict[str, object]],
    trigger: str,
    run_id: str | None,
) -> None:
    devices = list(dict.fromkeys(str(change["device"]) for change in changes))
    try:
        log_changes(
            client,
            changes,
            name=f"deployment-{deployment}",
            role="deployment",
            trigger=trigger,
            tags={"nas.deployment": deployment, "nas.device": " ".join(devices)},
            run_id=run_id,
        )
    except RegistryError as error:
        _log.warning("%s on %s is changed, but there is no record: %s", deployment, ", ".join(devices), error)


def _version(manifest: Manifest | None) -> dict[str, object] | None:
    return {name: manifest.get(name) for name in _KEPT} if manifest else None

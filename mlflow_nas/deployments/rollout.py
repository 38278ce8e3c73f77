"""One device or a group of them, changed one after the other."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlflow_nas.config import find_device, find_group
from mlflow_nas.deployments.switch import Change
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["SCHEME", "Target", "find_target", "roll_out", "summary"]

SCHEME = "nas-edge://"
_GROUP = "group/"

Step = Callable[[Device], Change]
Undo = Callable[[Device, Change], None]


class Target(NamedTuple):
    """Devices of the inventory, in its order; several only as a group."""

    name: str
    devices: tuple[Device, ...]
    is_group: bool


def find_target(text: str, devices: Path | None = None) -> Target:
    """The device NAME, or the devices of group/NAME, with or without nas-edge:// before it.

    Args:
        text: the user's target.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.

    Raises:
        ConfigError: there is no such device or group; the message lists the existing ones.
    """
    name = text.removeprefix(SCHEME).strip("/")
    if name.startswith(_GROUP):
        return Target(name, find_group(name.removeprefix(_GROUP), devices), is_group=True)
    return Target(name, (find_device(name, devices),), is_group=False)


def roll_out(target: Target, step: Step, *, undo: Undo | None = None) -> dict[str, Change]:
    """Change each device in turn, in the inventory's order; stop at the first failure.

    Args:
        target: the devices.
        step: changes one.
        undo: reverts a change; None leaves the devices before the failure changed.

    Returns:
        The changes, by device.

    Raises:
        NasError: of the failed step. For a group the message lists the devices that are changed, reverted
            and not tried.
    """
    done: list[tuple[Device, Change]] = []
    for device in target.devices:
        try:
            done.append((device, step(device)))
        except NasError as error:
            if not target.is_group:
                raise
            reverted = _undo_all(done, undo) if undo else ""
            raise type(error)(f"{_stopped(target, done, error)}{reverted}") from error
    return {device.name: change for device, change in done}


def summary(target: Target, changes: Mapping[str, Change]) -> dict[str, Any]:
    """The device's active manifest; for a group the first one, with all of them under `devices`."""
    manifests = {device: change.after for device, change in changes.items()}
    first = next(iter(manifests.values()))
    return {**first, "devices": manifests} if target.is_group else first


def _stopped(target: Target, done: Sequence[tuple[Device, Change]], error: NasError) -> str:
    names = [device.name for device in target.devices]
    at = len(done)
    before, after = (", ".join(part) or "none" for part in (names[:at], names[at + 1 :]))
    return (
        f"{target.name} stopped at {names[at]}: {str(error).rstrip('.')}. Changed before: {before}; "
        f"not tried: {after}."
    )


def _undo_all(done: Sequence[tuple[Device, Change]], undo: Undo) -> str:
    """Revert every change, the last one first; a sentence per device."""
    sentences = ""
    for device, change in reversed(done):
        try:
            undo(device, change)
            sentences += f" {device.name} is rolled back."
        except NasError as error:
            sentences += f" {device.name} is not rolled back: {str(error).rstrip('.')}."
    return sentences

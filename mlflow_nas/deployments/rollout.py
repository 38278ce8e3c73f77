"""A group of devices, one at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlflow_nas.deployments.switch import Change
from mlflow_nas.deployments.target import Target
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["roll_out", "summary"]

Step = Callable[[Device], Change]
Undo = Callable[[Device, Change], None]


def roll_out(target: Target, step: Step, *, undo: Undo | None = None) -> dict[str, Change]:
    """Change each device in turn, in the inventory's order; stop at the first failure.

    Args:
        target: the devices.
        step: changes one.
        undo: takes a change back; None leaves the devices before the failure changed.

    Returns:
        What changed, by device.

    Raises:
        NasError: of the step that failed. For a group the sentence says what was done, undone and not tried.
    """
    done: list[tuple[Device, Change]] = []
    for device in target.devices:
        try:
            done.append((device, step(device)))
        except NasError as error:
            if not target.is_group:
                raise
            undone = _take_back(done, undo) if undo else ""
            raise type(error)(f"{_stopped(target, done, error)}{undone}") from error
    return {device.name: change for device, change in done}


def summary(target: Target, changes: Mapping[str, Change]) -> dict[str, Any]:
    """The device's manifest now; for a group the first one, with all of them under `devices`."""
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


def _take_back(done: Sequence[tuple[Device, Change]], undo: Undo) -> str:
    """Undo every change, the last one first; what to say of it."""
    said = ""
    for device, change in reversed(done):
        try:
            undo(device, change)
            said += f" {device.name} is back."
        except NasError as error:
            said += f" {device.name} is not back: {str(error).rstrip('.')}."
    return said

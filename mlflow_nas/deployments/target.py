"""Which devices are meant: NAME, or group/NAME."""

from pathlib import Path
from typing import NamedTuple

from mlflow_nas.config import find_device, find_group
from mlflow_nas.types import Device

__all__ = ["SCHEME", "Target", "find_target"]

SCHEME = "nas-edge://"
_GROUP = "group/"


class Target(NamedTuple):
    """Devices of the inventory, in its order; several only as a group."""

    name: str
    devices: tuple[Device, ...]
    is_group: bool


def find_target(text: str, devices: Path | None = None) -> Target:
    """The device NAME, or the devices of group/NAME, with or without nas-edge:// before it.

    Args:
        text: what the user said.
        devices: the inventory; None for MLFLOW_NAS_DEVICES, else ./devices.yaml.

    Raises:
        ConfigError: there is no such device or group; the sentence lists those there are.
    """
    name = text.removeprefix(SCHEME).strip("/")
    if name.startswith(_GROUP):
        return Target(name, find_group(name.removeprefix(_GROUP), devices), is_group=True)
    return Target(name, (find_device(name, devices),), is_group=False)

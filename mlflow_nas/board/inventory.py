"""From a device's record to a board that measures."""

from dataclasses import replace
from pathlib import Path

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.estimate import EstimateBoard, NoTransport
from mlflow_nas.board.fake import FakeBoard
from mlflow_nas.board.runtime.timing import MAX_SPREAD
from mlflow_nas.board.ssh import Destination, SshTransport
from mlflow_nas.board.transport import LocalTransport, Transport
from mlflow_nas.types import Device

__all__ = ["destination", "get_board", "get_transport"]


def get_transport(device: Device) -> Transport:
    """The transport of a device; it connects on its first use.

    Raises:
        ConfigError: the key file of an SSH device does not exist.
    """
    if device.transport == "none":
        return NoTransport(device)
    if device.transport == "local":
        return LocalTransport(Path(device.directory), device.python)
    return SshTransport(destination(device), device.directory, device.python)


def destination(device: Device) -> Destination:
    """Where ssh connects to."""
    return Destination(str(device.host), device.user, device.port, device.key_file)


def get_board(
    device: Device,
    *,
    threads: int | None = None,
    budget_s: float = 2.5,
    wait_s: float = 900,
    max_spread: float = MAX_SPREAD,
) -> DeviceBoard:
    """The board of a device in the inventory.

    Args:
        device: its record.
        threads: of one inference; None for the record's.
        budget_s: seconds of timed runs per measurement.
        wait_s: how long a measurement waits for another one on the device to end.
        max_spread: a measurement with a larger spread is repeated, and in the end unstable.

    Raises:
        ConfigError: the key file of an SSH device does not exist.
    """
    device = replace(device, threads=threads or device.threads)
    if device.transport == "none":
        return EstimateBoard(device)
    if device.transport == "fake":
        return FakeBoard(Path(device.directory), device=device)
    return DeviceBoard(device, get_transport(device), budget_s=budget_s, wait_s=wait_s, max_spread=max_spread)

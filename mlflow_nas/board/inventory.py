"""From a device's record to a board that measures."""

from dataclasses import replace
from pathlib import Path

from mlflow_nas.board.device import MAX_SPREAD, DeviceBoard
from mlflow_nas.board.fake import FakeBoard
from mlflow_nas.board.ssh import SshTransport, resolve
from mlflow_nas.board.transport import LocalTransport, Transport
from mlflow_nas.types import Device

__all__ = ["get_board", "get_transport"]


def get_transport(device: Device) -> Transport:
    """The way to a device that has one; nothing is connected yet.

    Raises:
        ConfigError: ~/.ssh/config or the key file of a device behind SSH can't be used.
    """
    if device.transport == "local":
        return LocalTransport(Path(device.directory), device.python)
    endpoint = resolve(str(device.host), user=device.user, port=device.port, key_file=device.key_file)
    return SshTransport(endpoint, device.directory, device.python)


def get_board(
    device: Device,
    *,
    threads: int | None = None,
    budget_s: float = 2.5,
    wait_s: float = 900,
    max_spread: float = MAX_SPREAD,
    cache: Path | None = None,
) -> DeviceBoard:
    """The board behind a device of the inventory.

    Args:
        device: its record.
        threads: of one inference; None for the record's.
        budget_s: seconds of timed runs per measurement.
        wait_s: how long a measurement waits for another one on the device to end.
        max_spread: a measurement that varies more is repeated, and flagged in the end.
        cache: folder of the measurements that are not repeated; None repeats all.

    Raises:
        ConfigError: ~/.ssh/config or the key file of a device behind SSH can't be used.
    """
    if device.transport == "fake":
        return FakeBoard(Path(device.directory), device=device)
    return DeviceBoard(
        replace(device, threads=threads or device.threads),
        get_transport(device),
        budget_s=budget_s,
        wait_s=wait_s,
        max_spread=max_spread,
        cache=cache,
    )

"""State and facts of all devices."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlflow_nas.board.inventory import get_board
from mlflow_nas.board.transport import UnreachableError
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["device_status"]

_MAX_PARALLEL = 16


def device_status(devices: Iterable[Device]) -> list[dict[str, Any]]:
    """Query all devices in parallel; a row each, in their order.

    Returns:
        name, transport, host, groups, emulated, threads, state ("ready", "not ready", "unreachable"), facts,
        and the error of a device that is not ready.
    """
    with ThreadPoolExecutor(_MAX_PARALLEL) as pool:
        return list(pool.map(_row, devices))


def _row(device: Device) -> dict[str, Any]:
    row = {
        "name": device.name,
        "transport": device.transport,
        "host": device.host,
        "groups": list(device.groups),
        "emulated": device.emulated,
        "threads": device.threads,
    }
    try:
        board = get_board(device)
        try:
            return {**row, "state": "ready", "facts": dict(board.facts()), "error": None}
        finally:
            board.close()
    except NasError as error:
        state = "unreachable" if isinstance(error, UnreachableError) else "not ready"
        return {**row, "state": state, "facts": {}, "error": str(error)}

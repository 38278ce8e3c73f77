"""Which devices there are, and how they fare now."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mlflow_nas.board.inventory import get_board
from mlflow_nas.board.transport import UnreachableError
from mlflow_nas.errors import NasError
from mlflow_nas.types import Device

__all__ = ["survey"]

_AT_ONCE = 16


def survey(devices: Iterable[Device]) -> list[dict[str, Any]]:
    """Ask all devices at once; a row each, in their order.

    Returns:
        name, transport, host, groups, emulated, threads, state ("ready", "not ready", "unreachable"), facts,
        and the error of a device that is not ready.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(_row, devices))


def _row(device: Device) -> dict[str, Any]:
    known = {
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
            return {**known, "state": "ready", "facts": dict(board.facts()), "error": None}
        finally:
            board.close()
    except UnreachableError as error:
        return {**known, "state": "unreachable", "facts": {}, "error": str(error)}
    except NasError as error:
        return {**known, "state": "not ready", "facts": {}, "error": str(error)}

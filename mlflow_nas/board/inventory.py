"""The devices by name."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.fake import FakeBoard
from mlflow_nas.board.transport import LocalTransport
from mlflow_nas.errors import ConfigError

__all__ = ["get_board"]


def _local(root: Path, threads: int, budget_s: float) -> DeviceBoard:
    return DeviceBoard("local", LocalTransport(root), threads=threads, budget_s=budget_s)


def _fake(root: Path, threads: int, budget_s: float) -> DeviceBoard:  # noqa: ARG001 - a formula has no threads
    return FakeBoard(root)


BOARDS: Final[Mapping[str, Callable[[Path, int, float], DeviceBoard]]] = {"local": _local, "fake": _fake}


def get_board(name: str, *, root: Path, threads: int = 1, budget_s: float = 2.5) -> DeviceBoard:
    """The device of that name: "local" is this machine, "fake" needs no hardware.

    Args:
        name: name in the device inventory.
        root: the device's folder for the runtime and the deployed models.
        threads: threads of one inference.
        budget_s: seconds of timed runs per measurement.

    Raises:
        ConfigError: the name is unknown; the sentence lists the known ones.
    """
    if name not in BOARDS:
        raise ConfigError(
            f"the device {name!r} is unknown; the known devices are {', '.join(sorted(BOARDS))}"
        )
    return BOARDS[name](root, threads, budget_s)

"""Boards by name."""

from pathlib import Path

from mlflow_nas.board.device import DeviceBoard
from mlflow_nas.board.fake import fake_board
from mlflow_nas.board.transport import LocalTransport
from mlflow_nas.errors import ConfigError

__all__ = ["BOARDS", "get_board"]

BOARDS = {"local": "this machine", "fake": "invented times, for dry runs and tests"}


def get_board(name: str, *, root: Path, threads: int = 1, budget_s: float = 2.0) -> DeviceBoard:
    """The board of this name.

    Args:
        name: "local" or "fake".
        root: folder in which a board on this machine keeps its models.
        threads: threads of one inference.
        budget_s: seconds of one measurement; starting Python and loading the models come on top.

    Raises:
        ConfigError: the name is unknown.
    """
    if name == "local":
        return DeviceBoard(name, LocalTransport(root), threads=threads, budget_s=budget_s)
    if name == "fake":
        return fake_board(root)
    known = ", ".join(f"{board} ({what})" for board, what in BOARDS.items())
    raise ConfigError(
        f"unknown board {name!r}; known: {known}. "
        "Another one is a DeviceBoard over a Transport of its own, see mlflow_nas.board"
    )

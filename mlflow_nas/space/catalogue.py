"""Spaces by name: the built-in ones, and those in a user's own Python file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import torch

from mlflow_nas.errors import ConfigError, NasError
from mlflow_nas.space.fastestdet.spaces import cell, chain, fastestdet_head, multi_branch
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.user_code import describe_error
from mlflow_nas.user_code import run_file as run_module

__all__ = ["SPACES", "load_space"]

SPACES: Mapping[str, Callable[[], SearchSpace]] = {
    "fastestdet-head": fastestdet_head,
    "chain": chain,
    "multi-branch": multi_branch,
    "cell": cell,
}


def load_space(name: str) -> SearchSpace:
    """A built-in space, or the one that a Python file holds.

    Args:
        name: of a built-in space, or "path.py:NAME" with NAME a `SearchSpace` or a function that returns one.
            The file is run.

    Raises:
        ConfigError: there is no such space or file, or the file fails or holds something else.
    """
    if name in SPACES:
        return SPACES[name]()
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        raise ConfigError(
            f"There is no space {name!r}: choose one of {', '.join(SPACES)}, or give a file and what it "
            "holds, such as spaces/mine.py:SPACE."
        )
    found = getattr(run_file(Path(path), "search space"), attribute, None)
    if callable(found):
        try:
            found = found()
        except NasError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigError(
                f"{path}: the search space {attribute} can't be made: {describe_error(error)}."
            ) from error
    if not isinstance(found, SearchSpace):
        raise ConfigError(
            f"{path} holds no search space {attribute}: define it as a mlflow_nas.space.SearchSpace, or as "
            "a function that returns one."
        )
    return found


def run_file(path: Path, what: str) -> ModuleType:
    """Run a user's Python file.

    Args:
        path: of the file.
        what: it defines, for messages.

    Raises:
        ConfigError: there is no such file, or it fails.
    """
    if not path.is_file():
        raise ConfigError(f"The file {path} of the {what} does not exist: give an existing one.")
    torch.manual_seed(0)  # weights that the file draws are the same in every process
    try:
        return run_module(path)
    except (Exception, SystemExit) as error:  # a user's file may do anything
        raise ConfigError(f"The file {path} of the {what} can't be run: {describe_error(error)}.") from error

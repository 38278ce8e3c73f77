"""A user's Python files: run, and what they raise as one phrase with file and line."""

import importlib.util
import sys
import sysconfig
import traceback
from pathlib import Path
from types import ModuleType

__all__ = ["describe_error", "last_line", "run_file"]

_PACKAGE = Path(__file__).parent
_ELSEWHERE = tuple(
    str(Path(path).resolve())
    for path in (*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), str(_PACKAGE))
)


def run_file(path: Path) -> ModuleType:
    """Run a Python file as a module of its own; what it raises passes.

    Raises:
        FileNotFoundError: there is no such file.
    """
    specification = importlib.util.spec_from_file_location(f"mlflow_nas_user_{path.stem}", path)
    if not path.is_file() or specification is None or specification.loader is None:
        raise FileNotFoundError(f"the file {path} does not exist")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # where dataclasses look up what annotations mean
    specification.loader.exec_module(module)
    return module


def describe_error(error: BaseException) -> str:
    """Class, last line, and the innermost line of user code: "ValueError: odd width (mine.py, line 12)"."""
    place = _place(error)
    return f"{type(error).__name__}: {last_line(error)}" + (f" ({place})" if place else "")


def last_line(error: BaseException) -> str:
    """The last line of an error's text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "no reason given"


def _place(error: BaseException) -> str | None:
    """File and line of the innermost frame of code that this package called and that no package installed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    found = None
    for cause in _causes(error):
        is_called = False
        for frame in traceback.extract_tb(cause.__traceback__):
            path = str(Path(frame.filename).resolve())
            is_called = is_called or path.startswith(str(_PACKAGE))
            if is_called and path.endswith(".py") and not path.startswith(_ELSEWHERE):
                found = f"{frame.filename}, line {frame.lineno}"
    return found


def _causes(error: BaseException | None) -> list[BaseException]:
    """The error after those that it was raised from."""
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.insert(0, error)
        error = error.__cause__
    return found

"""The package `runtime` as the one file that a device's Python runs."""

import io
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from mlflow_nas.board import runtime

__all__ = ["runtime_bundle"]

_FOLDER = Path(runtime.__file__).parent
_PACKAGES = ("mlflow_nas", "mlflow_nas/board", "mlflow_nas/board/runtime")
_MAIN = "from mlflow_nas.board.runtime import start\n\nstart()\n"


def runtime_bundle() -> bytes:
    """A zip application with the package under its own name, below empty packages.

    The same sources give the same bytes: the order is fixed, and no entry has a time.
    """
    sources = {f"{_PACKAGES[-1]}/{path.name}": path.read_text("utf-8") for path in _FOLDER.glob("*.py")}
    empty = {f"{package}/__init__.py": "" for package in _PACKAGES[:-1]}
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, text in sorted({"__main__.py": _MAIN, **empty, **sources}.items()):
            entry = ZipInfo(name)  # its time is 1980, the earliest that a zip file knows
            entry.create_system = 3  # on Windows zipfile would write another byte
            archive.writestr(entry, text)
    return packed.getvalue()

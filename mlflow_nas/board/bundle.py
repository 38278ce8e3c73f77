"""The package `runtime` as one file for the device's Python."""

import io
from pathlib import Path
from zipfile import ZipFile, ZipInfo

from mlflow_nas.board import runtime

__all__ = ["runtime_bundle"]

_FOLDER = Path(runtime.__file__).parent
_PACKAGES = ("mlflow_nas", "mlflow_nas/board", "mlflow_nas/board/runtime")
_MAIN = "from mlflow_nas.board.runtime.dispatch import start\n\nstart()\n"


def runtime_bundle() -> bytes:
    """A zip application with the package under its own name, below empty packages.

    The same sources give the same bytes: entries are sorted and have no time.
    """
    sources = {f"{_PACKAGES[-1]}/{path.name}": path.read_text("utf-8") for path in _FOLDER.glob("*.py")}
    empty = {f"{package}/__init__.py": "" for package in _PACKAGES[:-1]}
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, text in sorted({"__main__.py": _MAIN, **empty, **sources}.items()):
            entry = ZipInfo(name)  # dated 1980, the zip format's minimum
            entry.create_system = 3  # zipfile's default depends on the operating system
            archive.writestr(entry, text)
    return packed.getvalue()

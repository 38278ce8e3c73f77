"""What of the device is there and what is missing, without needing any of it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil

from mlflow_nas.board.runtime.facts import conditions
from mlflow_nas.board.runtime.failure import Answer
from mlflow_nas.board.runtime.lock import holder_of

__all__ = ["inspect"]


def inspect(folder: str, lock: str, cores: list[int], root: str = "/") -> Answer:
    """Versions, providers, space, conditions and who measures; what can't be imported says why.

    Args:
        folder: where everything of ours stays.
        lock: path of the measurements' lock.
        cores: on which inferences stay; none for all.
        root: of the file system, for tests.
    """
    modules = {name: _version(name) for name in ("numpy", "onnxruntime")}
    usage = shutil.disk_usage(folder)
    return {
        "python": platform.python_version(),
        "modules": modules,
        "providers": _providers() if "version" in modules["onnxruntime"] else [],
        "free_bytes": usage.free,
        "cores": os.cpu_count(),
        "conditions": conditions(root, cores[0] if cores else 0),
        "holder": holder_of(lock),
    }


def _version(module: str) -> Answer:
    try:
        return {"version": importlib.import_module(module).__version__}
    except Exception as error:  # noqa: BLE001 - a broken library raises what it likes
        return {"error": f"{type(error).__name__}: {error}"}


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())

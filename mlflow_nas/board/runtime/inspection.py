"""State of the device, collected without any library that may be missing."""

from __future__ import annotations

import importlib
import os
import platform
import shutil

from mlflow_nas.board.runtime.facts import LITERT, ONNXRUNTIME, conditions
from mlflow_nas.board.runtime.failure import JsonObject
from mlflow_nas.board.runtime.litert import import_interpreter, litert_version
from mlflow_nas.board.runtime.lock import lock_holder

__all__ = ["inspect"]

_MODULES = {ONNXRUNTIME: "onnxruntime", LITERT: "ai-edge-litert"}


def inspect(
    folder: str, lock: str, cores: list[int], library: str = ONNXRUNTIME, root: str = "/"
) -> JsonObject:
    """Versions, providers, free space, conditions and the lock's holder; import errors as text.

    Args:
        folder: the device's folder of mlflow_nas.
        lock: path of the measurements' lock.
        cores: the inferences' cores; empty for all.
        library: that runs the models.
        root: of the file system, for tests.
    """
    modules = {name: _version(name) for name in ("numpy", _MODULES[library])}
    return {
        "python": platform.python_version(),
        "modules": modules,
        "providers": _providers() if "version" in modules.get(ONNXRUNTIME, ()) else [],
        "free_bytes": shutil.disk_usage(folder).free,
        "cores": os.cpu_count(),
        "conditions": conditions(root, cores[0] if cores else 0),
        "holder": lock_holder(lock),
    }


def _version(module: str) -> JsonObject:
    try:
        if module == _MODULES[LITERT]:
            import_interpreter()
            return {"version": litert_version()}
        return {"version": importlib.import_module(module).__version__}
    except Exception as error:  # noqa: BLE001 - a broken library may raise anything
        return {"error": f"{type(error).__name__}: {error}"}


def _providers() -> list[str]:
    import onnxruntime

    return list(onnxruntime.get_available_providers())

"""What was measured once is not measured again."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["MeasurementCache", "identity"]

_SAME_DEVICE = ("machine", "soc", "cpu", "cores", "governor", "python", "numpy", "onnxruntime")


def identity(facts: Mapping[str, str]) -> dict[str, str]:
    """Of the facts those that must agree for a measurement to hold: hardware, governor, versions."""
    return {name: facts[name] for name in _SAME_DEVICE if name in facts}


class MeasurementCache:
    """Measurements in files, one per what was measured how.

    Args:
        folder: where they are kept; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def find(self, key: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer that was kept under the key; None where there is none that can be read."""
        if self._folder is None:
            return None
        try:
            text = (self._folder / _file_name(key)).read_text(encoding="utf-8")
            found: dict[str, Any] = json.loads(text)["answer"]
        except (OSError, ValueError, KeyError):
            return None
        return found

    def keep(self, key: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Keep an answer; the file appears whole or not at all."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _file_name(key)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({"key": key, "answer": answer}, indent=1), encoding="utf-8")
        fresh.replace(path)


def _file_name(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest() + ".json"

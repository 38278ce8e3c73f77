"""What runs ON the device: facts, timing, inference and the store of deployed models.

Python 3.9 or later with numpy and onnxruntime, nothing else. `mlflow_nas.board.bundle` packs this package
into one zip file, which the device's Python runs. ``python FILE.pyz COMMAND '{"option": value}'`` prints
exactly one JSON object; a failure is ``{"error": sentence, "kind": whose fault}`` with exit code 1. Kinds:
"model" (it can't be loaded or run), "request" (the caller's mistake), "device" (everything else).
"""

from mlflow_nas.board.runtime.dispatch import ATTACHED, DETACHED, main, start
from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.install import ANY_VERSION
from mlflow_nas.board.runtime.session import load

__all__ = ["ANY_VERSION", "ATTACHED", "DETACHED", "Failure", "facts", "load", "main", "start"]

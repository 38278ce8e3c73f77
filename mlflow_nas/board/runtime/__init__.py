"""The package that runs on the device: facts, timing, inference and the store of deployed models.

Python 3.9 or later with numpy and onnxruntime, or LiteRT in its place. `mlflow_nas.board.bundle` packs
this package into one zip file, which the device's Python runs.
``python FILE.pyz COMMAND '{"option": value}'`` prints exactly one JSON object; a failure is
``{"error": message, "kind": cause}`` with exit code 1. Kinds:
"model" (it can't be loaded or run), "request" (the caller's mistake), "library" (it can't be imported),
"device" (everything else).

Nothing is imported here: a command compiles and loads only the modules that it needs.
"""

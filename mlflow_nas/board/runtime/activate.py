"""The device's own commands around a switch: `activate` notifies the application, `health` checks it."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from mlflow_nas.board.runtime.failure import Failure, JsonObject

__all__ = ["activate", "check_health"]

PAUSE_S = 0.2
SHOWN_CHARACTERS = 300  # of a command's last output


def activate(command: Sequence[str], model: str, manifest: JsonObject, limit_s: float) -> None:
    """Run the device's `activate`; nothing without one.

    Its environment has MLFLOW_NAS_NAME, MLFLOW_NAS_VERSION and MLFLOW_NAS_MODEL, the path of the active file;
    the latter two are empty when no version is active any more.
    """
    if command and (problem := _run([*_variables(model, manifest), *command], limit_s)):
        raise Failure("device", f"activate ({' '.join(command)}) {problem}")


def check_health(command: Sequence[str], model: str, manifest: JsonObject, limit_s: float) -> None:
    """Repeat the device's `health` until it succeeds; nothing without one."""
    end = time.monotonic() + limit_s
    while command:
        problem = _run([*_variables(model, manifest), *command], max(end - time.monotonic(), PAUSE_S))
        if problem is None:
            return
        if time.monotonic() + PAUSE_S > end:
            raise Failure("device", f"health ({' '.join(command)}) {problem}, repeatedly for {limit_s:g} s")
        time.sleep(PAUSE_S)


def _variables(model: str, manifest: JsonObject) -> list[str]:
    values = {"NAME": manifest["name"], "VERSION": manifest.get("version", ""), "MODEL": model}
    return ["env", *(f"MLFLOW_NAS_{name}={value}" for name, value in values.items())]


def _run(argv: Sequence[str], limit_s: float) -> str | None:
    """None for success, else the problem.

    The output goes to a file: a service that the command starts may keep a pipe open for ever.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"did not end within {limit_s:g} s: {_tail(output)}"
        return f"failed with code {code}: {_tail(output)}" if code else None


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace").strip()[-SHOWN_CHARACTERS:] or "no output"

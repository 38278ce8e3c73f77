"""One command in, one JSON object out."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

from mlflow_nas.board.runtime.failure import Failure, JsonObject

__all__ = ["ATTACHED", "COMMANDS", "DETACHED", "main", "start"]

ATTACHED = "attached"  # ends when its host does
DETACHED = "detached"  # finishes also without its host
HOST_IS_GONE = 4

COMMANDS = {
    "facts": "facts.facts",
    "inspect": "inspection.inspect",
    "time": "timing.time_",
    "profile": "profiler.profile",
    "by_threads": "scaling.by_threads",
    "sustained": "scaling.sustained",
    "infer": "infer.infer",
    "fetch": "fetch.fetch",
    "poll": "agent.poll",
    "install": "install.install",
    "rollback": "install.rollback",
    "delete": "store.delete",
    "get": "store.get",
    "list": "store.list_",
}
"""Command to module and function."""


def main(argv: Sequence[str], answers: TextIO) -> int:
    """Run ``COMMAND [OPTIONS as one JSON object]``, write the JSON answer, return the exit code."""
    command, options = (*argv, "{}")[:2] if argv else ("", "{}")
    try:
        answer = _run(command, json.loads(options))
    except Failure as failure:
        answer = {"error": str(failure), "kind": failure.kind}
    except ImportError as error:
        answer = {"error": f"{type(error).__name__}: {error}", "kind": "library"}
    except Exception as error:  # noqa: BLE001 - the host gets one JSON object in every case
        answer = {"error": f"{type(error).__name__}: {error}", "kind": "device"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    return 1 if "error" in answer else 0


def _run(command: str, options: JsonObject) -> JsonObject:
    if command not in COMMANDS:
        raise Failure("request", f"the command is one of {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[command].partition(".")
    answer: JsonObject = getattr(import_module(f"{__package__}.{module}"), function)(**options)
    return answer


def start() -> None:
    """Run the process's own arguments: COMMAND, OPTIONS and, from a host, ATTACHED or DETACHED."""
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps the output of libraries away from the one JSON object
    if sys.argv[3:] == [ATTACHED]:
        threading.Thread(target=_exit_with_host, daemon=True).start()
    sys.exit(main(sys.argv[1:3], stdout))


def _exit_with_host() -> None:
    """End the process when standard input closes: the host died, timed out or lost the connection."""
    while os.read(0, 1):
        pass
    os._exit(HOST_IS_GONE)

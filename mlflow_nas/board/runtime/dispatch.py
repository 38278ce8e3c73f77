"""One command in, one JSON object out."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TextIO

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.board.runtime.failure import Answer, Failure
from mlflow_nas.board.runtime.fetch import fetch
from mlflow_nas.board.runtime.infer import infer
from mlflow_nas.board.runtime.inspection import inspect
from mlflow_nas.board.runtime.install import install, rollback
from mlflow_nas.board.runtime.profile import profile
from mlflow_nas.board.runtime.store import delete, get, list_
from mlflow_nas.board.runtime.timing import time_

__all__ = ["ATTACHED", "COMMANDS", "DETACHED", "main", "start"]

ATTACHED = "attached"
DETACHED = "detached"  # what has begun comes to its end, also when the host is gone
HOST_IS_GONE = 4

COMMANDS: dict[str, Callable[..., Answer]] = {
    function.__name__.rstrip("_"): function
    for function in (facts, inspect, time_, profile, infer, fetch, install, rollback, delete, get, list_)
}


def main(argv: Sequence[str], answers: TextIO) -> int:
    """Run ``COMMAND [OPTIONS as one JSON object]``, write the JSON answer, return the exit code."""
    command, options = (*argv, "{}")[:2] if argv else ("", "{}")
    try:
        answer = COMMANDS[command](**json.loads(options))
    except KeyError:
        answer = {"error": f"the command is one of {', '.join(COMMANDS)}", "kind": "request"}
    except Failure as failure:
        answer = {"error": str(failure), "kind": failure.kind}
    except Exception as error:  # noqa: BLE001 - whatever happened, the host gets one JSON object
        answer = {"error": f"{type(error).__name__}: {error}", "kind": "device"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
    return 1 if "error" in answer else 0


def start() -> None:
    """Run the process's own arguments: COMMAND, OPTIONS and, from a host, ATTACHED or DETACHED."""
    stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries that print to standard output must not spoil the one JSON object
    if sys.argv[3:] == [ATTACHED]:
        threading.Thread(target=_end_with_the_host, daemon=True).start()
    sys.exit(main(sys.argv[1:3], stdout))


def _end_with_the_host() -> None:
    """A host that dies, gives up or loses the connection closes standard input: nobody waits any more."""
    while os.read(0, 1):
        pass
    os._exit(HOST_IS_GONE)

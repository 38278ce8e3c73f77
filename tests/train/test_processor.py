"""Cores that other processes leave free."""

import os
import subprocess
import sys

from mlflow_nas.train import free_cores

BUSY = "while True: pass"


def test_cores_that_others_use_are_not_free() -> None:
    """A busy process takes one of this process' cores; one core is left at least."""
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        with subprocess.Popen([sys.executable, "-c", BUSY]) as busy:
            assert free_cores(0.1) == 1
            busy.kill()
    finally:
        os.sched_setaffinity(0, before)
    assert 1 <= free_cores(0.1) <= len(before)

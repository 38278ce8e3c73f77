"""Threads that wait without spinning."""

import os
import subprocess
import sys

SHOW = """
import os
from mlflow_nas.threads import use_passive_threads
use_passive_threads()
print(os.environ["OMP_WAIT_POLICY"], os.environ["GOMP_SPINCOUNT"], os.environ["KMP_BLOCKTIME"])
"""


def test_openmp_waits_without_spinning() -> None:
    """A variable that the user sets stays."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    for given, expected in (({}, "PASSIVE 0 0"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE 0 0")):
        done = subprocess.run(
            [sys.executable, "-c", SHOW], env={**others, **given}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected

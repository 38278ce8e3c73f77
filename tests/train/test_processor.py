"""Cores that other processes leave free."""

import os
import subprocess
import sys
from pathlib import Path

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


def test_a_containers_quota_limits_the_cores(tmp_path: Path) -> None:
    """Half a core counts as one; without a limit, or without control groups, the affinity counts."""
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert free_cores(0.01, group=tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert free_cores(0.01, group=tmp_path) >= 1
    assert free_cores(0.01, group=tmp_path / "none") >= 1

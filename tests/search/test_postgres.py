"""Three workers in three folders share a study in a real PostgreSQL; one is killed, one is paused."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from mlflow_stack import has_postgres, running_postgres
from optuna.trial import TrialState
from studies import evaluate, open_loop

from mlflow_nas.search import worker as worker_module
from mlflow_nas.search.storage import open_storage
from mlflow_nas.search.store import Claim
from mlflow_nas.trial import Listener
from mlflow_nas.types import TrialResult

TRIALS = 12
GRACE_S = 4.0
WAIT_S = 60.0


@pytest.fixture
def database() -> Iterator[str]:
    """URL of an empty database of a server of its own."""
    if not has_postgres() and not os.environ.get("CI"):
        pytest.skip("PostgreSQL is missing (Debian: apt-get install postgresql)")
    with running_postgres() as url:
        yield url


def _work(url: str, folder: Path) -> None:
    """A worker's whole process."""
    worker_module.this_worker.cache_clear()
    worker_module.BEAT_S = 0.5
    logging.basicConfig(filename=folder / "log", force=True)

    def evaluate_slowly(claim: Claim, listener: Listener) -> TrialResult:
        (folder / f"started-{claim.number}").touch()
        time.sleep(0.5)
        return evaluate(claim, listener)

    open_loop(open_storage(url, folder), grace_s=GRACE_S, evaluate=evaluate_slowly, seed=os.getpid()).run(
        TRIALS
    )


def _start(url: str, folder: Path) -> BaseProcess:
    folder.mkdir()
    process = multiprocessing.get_context("fork").Process(target=_work, args=(url, folder))
    process.start()
    deadline = time.monotonic() + WAIT_S
    while not list(folder.glob("started-*")):
        assert time.monotonic() < deadline, "it does not begin"
        time.sleep(0.01)
    return process


@pytest.mark.services
def test_a_killed_and_a_paused_worker_cost_no_trial(database: str, tmp_path: Path) -> None:
    """The third finishes the study; the paused one's late result is refused and stays on record."""
    killed, paused, third = (_start(database, tmp_path / name) for name in ("killed", "paused", "third"))
    os.kill(paused.pid or 0, signal.SIGSTOP)
    os.kill(killed.pid or 0, signal.SIGKILL)
    third.join(WAIT_S)
    assert third.exitcode == 0
    os.kill(paused.pid or 0, signal.SIGCONT)
    paused.join(WAIT_S)
    killed.join()
    assert paused.exitcode == 0
    store = open_loop(open_storage(database, tmp_path)).claims.store
    results = store.results()
    assert [one.number for one in results] == list(range(TRIALS))
    assert len({one.key for one in results}) == TRIALS
    assert not store.study.get_trials(states=[TrialState.RUNNING, TrialState.WAITING])
    log = (tmp_path / "paused/log").read_text()
    assert "was taken over by another worker" in log
    assert "Traceback" not in log
    assert [name for name in store.study.user_attrs if name.startswith("nas.late.")]

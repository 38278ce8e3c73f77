"""Workers of a study that a test kills: forked, so that a start costs nothing."""

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from studies import OBJECTIVES, evaluate, open_loop

from mlflow_nas.search import worker as worker_module
from mlflow_nas.search.mirroring import MirrorCallback
from mlflow_nas.search.store import Claim
from mlflow_nas.space import fastestdet_head
from mlflow_nas.tracking import Mirror, StudyRun
from mlflow_nas.trial import Listener
from mlflow_nas.types import TrialResult

TRIALS = 8
STEP_S = 0.02


def open_mirror(folder: Path, tracking_uri: str) -> Mirror:
    """Of the study "test", whose outboxes lie in the folder."""
    study = StudyRun(experiment="kills", study="test", uid="test-uid", params={"trials": TRIALS})
    return Mirror(
        tracking_uri=tracking_uri,
        folder=folder / "outbox",
        study=study,
        objectives=[one.name for one in OBJECTIVES],
    )


def work(storage: Path, folder: Path, tracking_uri: str) -> None:
    """Evaluate trials until the study has all, mirrored into MLflow; a worker's whole process."""
    worker_module.this_worker.cache_clear()
    folder.mkdir(exist_ok=True)

    def evaluate_slowly(claim: Claim, listener: Listener) -> TrialResult:
        if claim.key in {one.key for one in loop.claims.store.results()}:
            with (folder.parent / "twice").open("a") as file:
                file.write(f"{claim.number} {claim.key}\n")
        for epoch in range(3):
            time.sleep(STEP_S)
            listener.epoch(epoch + 1, {"train_loss": 1 / (epoch + 1)})
        return evaluate(claim, listener)

    loop = open_loop(storage, lock=folder / "lock", evaluate=evaluate_slowly, sampler="tpe", seed=os.getpid())
    space = fastestdet_head()
    context: Any = SimpleNamespace(space=space, tags={"nas.board": "fake"}, objectives=OBJECTIVES)
    mirror = open_mirror(folder, tracking_uri)
    mirror.start_study()
    loop.callbacks = [MirrorCallback(context=context, store=loop.claims.store, mirror=mirror)]
    loop.run(TRIALS)
    mirror.finish_study()
    results = [
        (loop.callbacks[0].run_of(Claim(int(one.number or 0), one.key, one.architecture)), one)
        for one in loop.claims.store.results()
    ]
    mirror.reconcile(results)
    mirror.flush(30)
    mirror.close()


def start(storage: Path, folder: Path, tracking_uri: str) -> BaseProcess:
    """A worker's process."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=work, args=(storage, folder, tracking_uri))
    process.start()
    return process


def kill(processes: Iterable[BaseProcess]) -> None:
    """Without a warning; one that has just finished is left alone."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGKILL)
    for process in processes:
        process.join()


def kill_at_random(storage: Path, folders: list[Path], tracking_uri: str, *, times: int, seed: int) -> None:
    """Start a worker in each folder and kill all of them after a random time, again and again."""
    rng = random.Random(seed)
    for _ in range(times):
        processes = [start(storage, folder, tracking_uri) for folder in folders]
        time.sleep(rng.uniform(0.02, 0.5))
        kill(processes)

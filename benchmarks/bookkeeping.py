"""What a trial costs beside its training: CPU milliseconds of the sampler, the storage and the mirror.

A worker evaluates the trials of a study on generated scenes by a formula, with TPE, a journal file, and a
fresh SQLite MLflow that receives learning curves, results and data sets. Beside it plain Optuna: TPE, a
journal file, and of each trial a run with one `log_batch` of the same values. Both in turn, each the mean of
the trials just before a point; models of the front are not in it. It is CPU time of this process, its
threads included, so that other processes' work does not count. Memory is what the process holds at a point.

    python benchmarks/bookkeeping.py
    python benchmarks/bookkeeping.py --space chain --trials 1000,3000,10000 --alone
    python benchmarks/bookkeeping.py --trials 20,60 --mlflow-storage
"""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import fmean

import optuna
from common import Goal, end, scratch_folder, table
from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.optuna.storage import MlflowStorage
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.search import Claim, open_session
from mlflow_nas.search.samplers import distributions
from mlflow_nas.space import fastestdet_head
from mlflow_nas.trial import Listener
from mlflow_nas.types import Architecture, TrialResult

MOST_MS = 50.0
WINDOW = 40
"""Trials before a point at most, whose mean is taken."""
EPOCHS = 14
"""Of a trial: as many as a search has by default on 120 images."""
_MIDDLE = 64.0
VALUES = 24
"""Metrics of a trial beside its objectives."""

Work = Callable[[int], None]
"""Evaluates trials until there are that many, and waits until everything is stored."""


def metrics_of(architecture: Architecture) -> dict[str, float]:
    """Larger choices are slower and better, but for noise."""
    numbers = [float(value) for value in architecture.values() if not isinstance(value, str)]
    size = fmean(value / (value + _MIDDLE) for value in numbers)
    noise = Random(repr(architecture))  # noqa: S311 - no secret
    first = {"map": 0.6 * size**0.5 + noise.gauss(0, 0.03), "latency_ms": 10 * size + noise.gauss(1, 0.3)}
    return first | {f"metric_{index}": noise.random() for index in range(VALUES)}


def curve() -> list[dict[str, float]]:
    """Metrics of each epoch."""
    epochs = range(1, EPOCHS + 1)
    return [{"train_loss": 1 / one, "map_fp32": one / 20, "map_50_fp32": one / 15} for one in epochs]


def evaluate(claim: Claim, listener: Listener, *, epoch_s: float = 0.0) -> TrialResult:
    """The formula, as a trial whose epochs are events and last `epoch_s` seconds each."""
    history, due_s = curve(), time.monotonic()
    for number, metrics in enumerate(history, start=1):
        due_s += epoch_s
        if epoch_s:
            time.sleep(max(due_s - time.monotonic(), 0.0))
        listener.epoch(number, metrics)
    return TrialResult(
        key=claim.key,
        architecture=claim.architecture,
        state="complete",
        number=claim.number,
        metrics=metrics_of(claim.architecture),
        history=tuple(history),
        facts=facts(),
    )


@contextmanager
def study(folder: Path, *, weights: Path, space: str, trials: int) -> Iterator[Work]:
    """A worker of a study."""
    os.environ |= {"MLFLOW_NAS_WORK": str(folder), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    given = {"data": "synthetic:train=8,val=4,size=64", "weights": weights, "board": "fake"}
    given |= {"space": space, "study": "bookkeeping", "trials": trials}
    config = load_config(SearchConfig, given)
    session = open_session(config)
    session.mirror.start_study()
    loop = session.loop(may_begin=lambda _evaluated: True)
    loop.evaluate = evaluate

    def work(trials: int) -> None:
        loop.run(trials)
        session.mirror.flush(timeout_s=600)

    try:
        yield work
    finally:
        session.close()


def in_mlflow(folder: Path) -> Work:
    """A study in MLflow's own storage for Optuna, which makes a run of each trial; objectives alone."""
    del folder  # it takes the tracking URI of the environment
    storage = MlflowStorage(experiment_id=MlflowClient().create_experiment("storage"))
    own = optuna.create_study(
        storage=storage, sampler=TPESampler(seed=0), directions=["maximize", "minimize"]
    )
    space = fastestdet_head()

    def work(trials: int) -> None:
        for _ in range(trials - len(own.get_trials(deepcopy=False))):
            trial = own.ask(distributions(space))
            metrics = metrics_of(space.validate(trial.params))
            own.tell(trial, [metrics["map"], metrics["latency_ms"]])

    return work


def plain(folder: Path) -> Work:
    """What a user writes without this project."""
    client = MlflowClient(f"sqlite:///{folder}/plain.db")
    experiment = client.create_experiment("plain")
    storage = JournalStorage(JournalFileBackend(f"{folder}/plain.journal"))
    sampler = TPESampler(seed=0)
    own = optuna.create_study(storage=storage, sampler=sampler, directions=["maximize", "minimize"])
    space = fastestdet_head()

    def work(trials: int) -> None:
        for _ in range(trials - len(own.get_trials(deepcopy=False))):
            trial = own.ask(distributions(space))
            architecture = space.validate(trial.params)
            run_id = client.create_run(experiment).info.run_id
            metrics, now_ms = metrics_of(architecture), time.time_ns() // 1_000_000
            points = [Metric(name, value, now_ms, 0) for name, value in metrics.items()]
            for number, epoch in enumerate(curve(), start=1):
                points += [Metric(f"epoch/{name}", value, now_ms, number) for name, value in epoch.items()]
            client.log_batch(
                run_id, points, [Param(f"arch.{name}", str(one)) for name, one in architecture.items()]
            )
            client.set_terminated(run_id)
            own.tell(trial, [metrics["map"], metrics["latency_ms"]])

    return work


def milliseconds(work: Work, trials: int) -> float:
    """CPU time of each of the last trials before there are `trials`."""
    window = min(WINDOW, trials)
    work(trials - window)
    start = time.process_time()
    work(trials)
    return (time.process_time() - start) / window * 1_000


def memory_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Measure at each point, then print the table with the command that repeats it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", default="20,100,300,1000", help="points, comma-separated")
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights/fastestdet_coco.pth"))
    parser.add_argument("--space", default="fastestdet-head", help="of the study; it limits the trials")
    parser.add_argument("--alone", action="store_true", help="no study of plain Optuna beside it")
    parser.add_argument("--mlflow-storage", action="store_true", help="beside it Optuna on MlflowStorage")
    options = parser.parse_args()
    points = [int(part) for part in options.trials.split(",")]
    folder = scratch_folder()
    rows = []
    others = {"plain Optuna": plain} if not options.alone else {}
    others |= {"Optuna on MlflowStorage": in_mlflow} if options.mlflow_storage else {}
    with study(folder, weights=options.weights, space=options.space, trials=points[-1]) as own:
        works = {name: make(folder) for name, make in others.items()}
        for trials in points:
            measured = round(milliseconds(own, trials), 1), round(memory_mb())
            rows.append(
                (trials, *measured, *(round(milliseconds(work, trials), 1) for work in works.values()))
            )
            sys.stderr.write(f"{rows[-1]}\n")
    beside = tuple(f"{name}, CPU ms a trial" for name in others)
    head = ("trials", "mlflow_nas, CPU ms a trial", "memory, MB", *beside)
    first, last = rows[0][1], rows[-1][1]
    end(
        f"{table(head, rows)}On {facts()['cpu']}. Repeat with: python {shlex.join(sys.argv)}\n",
        Goal(f"CPU ms a trial at {points[-1]} trials", last, MOST_MS, at_most=True),
        Goal("its growth, as a share of linear", last / first * points[0] / points[-1], 1.0, at_most=True),
    )


if __name__ == "__main__":
    main()

"""Wall-clock time of trials of one second by two workers, beside the ideal: half a second a trial.

Each worker is a process of its own, as with `search --workers 2`: TPE, a shared journal, and a fresh MLflow
in SQLite that receives curves and results. The time runs from both being ready to the end of the last trial;
what MLflow has not accepted then is delivered afterwards. For a quiet machine.

    python benchmarks/overhead.py
"""

import argparse
import multiprocessing
import os
import shlex
import sys
import time
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from bookkeeping import EPOCHS, evaluate
from common import Goal, end, scratch_folder, table

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.search import open_session

TRIAL_S = 1.0
MOST = 1.05
"""Times the ideal."""


def work(index: int, weights: Path, trials: int, ready: Barrier, ended: Any) -> None:
    """A worker's process; puts when it began and ended."""
    given = {"data": "synthetic:train=8,val=4,size=64", "weights": weights, "board": "fake"}
    config = load_config(SearchConfig, {**given, "study": "overhead", "trials": trials})
    session = open_session(config, index=index, workers=2)
    loop = session.loop(may_begin=lambda _evaluated: True)
    loop.evaluate = partial(evaluate, epoch_s=TRIAL_S / EPOCHS)
    ready.wait()
    began_s = time.monotonic()
    loop.run(trials)
    ended.put((began_s, time.monotonic()))
    session.mirror.flush(timeout_s=600)
    session.close()


def main() -> None:
    """Measure, then print the times with the command that repeats it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights/fastestdet_coco.pth"))
    options = parser.parse_args()
    folder = scratch_folder()
    os.environ |= {"MLFLOW_NAS_WORK": str(folder), "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(options.workers), context.Queue()
    arguments = [(index, options.weights, options.trials, ready, ended) for index in range(options.workers)]
    processes = [context.Process(target=work, args=one) for one in arguments]
    for process in processes:
        process.start()
    spans = [ended.get() for _ in processes]
    for process in processes:
        process.join()
    took_s = max(late for _, late in spans) - min(early for early, _ in spans)
    ideal_s = options.trials * TRIAL_S / options.workers
    row = (options.trials, options.workers, f"{took_s:.1f}", f"{ideal_s:.1f}", f"{took_s / ideal_s:.3f}")
    head = ("trials", "workers", "seconds", "ideal", "ratio")
    end(
        f"{table(head, [row])}On {facts()['cpu']}. Repeat with: python {shlex.join(sys.argv)}\n",
        Goal("seconds of 1-second trials, to the ideal", took_s / ideal_s, MOST, at_most=True),
    )


if __name__ == "__main__":
    main()

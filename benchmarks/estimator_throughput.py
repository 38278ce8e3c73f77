"""How many candidates a minute each strategy scores, the way a search asks it.

Analytic strategies (cost class C0) are asked of many random candidates, the others of a few. Learning curves
train their candidates and are left out; models are fitted elsewhere and count here.
Seconds of the processor are beside the wall clock's: another process's load is not in them.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from common import Goal, end

from mlflow_nas.board import FakeBoard
from mlflow_nas.data import load_dataset
from mlflow_nas.estimate import STRATEGIES, Strategy, gather
from mlflow_nas.search import Workbench
from mlflow_nas.search.probes import by_network, make_probes
from mlflow_nas.space import SearchSpace, load_space
from mlflow_nas.train import Recipe
from mlflow_nas.types import Architecture

__all__ = ["Rate", "measure", "scratch_bench"]

ASKED = [row for row in STRATEGIES if "epochs" not in row.needs]
LEAST_PER_MIN = 2_000
"""Of cost class C0, on two cores."""


class Rate(NamedTuple):
    """Candidates per minute of the wall clock, and per minute of one core's work."""

    wall: float
    core: float


def scratch_bench(space: SearchSpace, folder: Path) -> Workbench:
    """A bench with generated scenes; nothing is trained or timed on it."""
    data = "synthetic:train=40,val=4"
    return Workbench(
        space=space,
        train=load_dataset(data, "train", ("person",)),
        val=load_dataset(data, "val", ("person",)),
        board=FakeBoard(folder),
        folder=folder,
        epochs=1,
        batch_size=8,
        seed=0,
        recipe=Recipe(),
    )


def measure(bench: Workbench, strategy: Strategy, architectures: Sequence[Architecture]) -> Rate:
    """Score the architectures once, networks and pictures included."""
    wall, core = time.perf_counter(), time.process_time()
    gather(make_probes(bench, by_network(bench.space, architectures), [strategy]), [strategy])
    minutes = (time.perf_counter() - wall) / 60, (time.process_time() - core) / 60
    return Rate(len(architectures) / minutes[0], len(architectures) / minutes[1])


def main() -> None:
    """Print a line per strategy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--space", default="fastestdet-head", help="search space")
    parser.add_argument("--candidates", type=int, default=1_000, help="for strategies of cost class C0")
    parser.add_argument("--few", type=int, default=3, help="candidates for the others")
    parser.add_argument("--folder", type=Path, default=Path("build/estimator_throughput"))
    options = parser.parse_args()
    bench = scratch_bench(load_space(options.space), options.folder)
    rng = random.Random(0)  # noqa: S311 - a draw of architectures, not a secret
    drawn = [bench.space.draw(rng) for _ in range(options.candidates)]
    sys.stdout.write(f"{options.space}, {torch.get_num_threads()} threads of torch\n")
    sys.stdout.write(f"{'strategy':16}{'class':6}{'candidates/min':>16}{'per core-minute':>17}\n")
    goals = []
    for strategy in ASKED:
        asked = drawn if strategy.cost_class == "C0" else drawn[: options.few]
        rate = measure(bench, strategy, asked)
        sys.stdout.write(f"{strategy.name:16}{strategy.cost_class:6}{rate.wall:16.0f}{rate.core:17.0f}\n")
        sys.stdout.flush()
        if strategy.cost_class == "C0":
            goals.append(Goal(f"{strategy.name}, candidates/min", rate.wall, LEAST_PER_MIN))
    end("", *goals)


if __name__ == "__main__":
    main()

"""Candidates per minute of each strategy, scored as in a search.

Analytic strategies (cost class C0) score many random candidates, the others a few. Learning curves are left
out; of models only the features are timed. The table has wall-clock rates, and rates per minute of
processor time, which other processes do not change.
"""

import random
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from common import Goal, end, make_parser, open_study

from mlflow_nas.estimate import STRATEGIES, Strategy, compute_features
from mlflow_nas.search.estimation.inputs import by_network, scoring_inputs
from mlflow_nas.trial import StudyContext
from mlflow_nas.types import Architecture

TIMED = [row for row in STRATEGIES if not {"epochs", "supernet"} & {*row.needs}]
LEAST_PER_MIN = 2_000
"""Of cost class C0, on two cores."""


class Rate(NamedTuple):
    """Candidates per minute of the wall clock, and per minute of one core's work."""

    wall: float
    core: float


def measure(context: StudyContext, strategy: Strategy, architectures: Sequence[Architecture]) -> Rate:
    """Score the architectures once, networks and images included."""
    wall, core = time.perf_counter(), time.process_time()
    inputs = scoring_inputs(context, by_network(context.space, architectures), [strategy])
    compute_features(inputs, [strategy])
    minutes = (time.perf_counter() - wall) / 60, (time.process_time() - core) / 60
    return Rate(len(architectures) / minutes[0], len(architectures) / minutes[1])


def main() -> None:
    """Print a line per strategy."""
    parser = make_parser(__doc__)
    parser.add_argument("--space", default="fastestdet-head", help="search space")
    parser.add_argument("--candidates", type=int, default=1_000, help="for strategies of cost class C0")
    parser.add_argument("--few", type=int, default=3, help="candidates for the others")
    parser.set_defaults(data="synthetic:train=40,val=4", threads=2)
    options = parser.parse_args()
    context = open_study(options, space=options.space)
    rng = random.Random(0)  # noqa: S311 - a draw of architectures, not a secret
    drawn = [context.space.draw(rng) for _ in range(options.candidates)]
    sys.stdout.write(f"{options.space}, {torch.get_num_threads()} threads of torch\n")
    sys.stdout.write(f"{'strategy':16}{'class':6}{'candidates/min':>16}{'per core-minute':>17}\n")
    goals = []
    for strategy in TIMED:
        timed = drawn if strategy.cost_class == "C0" else drawn[: options.few]
        rate = measure(context, strategy, timed)
        sys.stdout.write(f"{strategy.name:16}{strategy.cost_class:6}{rate.wall:16.0f}{rate.core:17.0f}\n")
        sys.stdout.flush()
        if strategy.cost_class == "C0":
            goals.append(Goal(f"{strategy.name}, candidates/min", rate.wall, LEAST_PER_MIN))
    end("", *goals)


if __name__ == "__main__":
    main()

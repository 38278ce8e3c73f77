"""How long a trial takes from its architecture to its first training step; the first trial warms up.

python benchmarks/trial_start.py --data voc:../shared/data/voc-persons/VOCdevkit
"""

import statistics
import time
from dataclasses import replace
from typing import NoReturn, get_args

from common import Goal, end, make_parser, open_bench, spread, table

from mlflow_nas.search import Workbench, default_epochs
from mlflow_nas.train import DetectorModule, Freeze, fit
from mlflow_nas.types import Architecture

MOST_S = 1.0


class _FirstStep(Exception):  # noqa: N818 - no error: the measurement ends there
    """Reached."""


def start_s(bench: Workbench, architecture: Architecture) -> float:
    """Seconds until the first batch lies before the network."""
    start = time.perf_counter()
    try:
        network, data = bench.build(architecture), bench.data(architecture)
        fit(
            network,
            data,
            epochs=bench.epochs,
            seed=0,
            recipe=bench.recipe,
            teacher=bench.teacher(architecture),
            accelerator="cpu",
        )
    except _FirstStep:
        return time.perf_counter() - start
    raise AssertionError("no step was taken")


def _stop(*_: object) -> NoReturn:
    raise _FirstStep


def main() -> None:
    """Start one trial per architecture."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", type=int, default=6)
    parser.add_argument("--freeze", choices=get_args(Freeze), default="none")
    options = parser.parse_args()
    bench = open_bench(options)
    epochs = default_epochs(len(bench.train), bench.batch_size)
    bench = replace(bench, epochs=epochs, recipe=replace(bench.recipe, freeze=options.freeze))
    DetectorModule.training_step = _stop  # type: ignore[method-assign,assignment]  # the measurement ends there
    first, *rest = [
        start_s(bench, architecture) for architecture in spread(bench.space, options.architectures)
    ]
    row = (
        len(bench.train) + len(bench.val),
        f"{first:.2f}",
        f"{statistics.median(rest):.2f}",
        f"{max(rest):.2f}",
    )
    head = ("images", "first, s", "later, median", "later, slowest")
    end(table(head, [row]), Goal(head[-1], max(rest), MOST_S, at_most=True))


if __name__ == "__main__":
    main()

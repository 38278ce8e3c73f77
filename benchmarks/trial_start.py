"""How long a trial takes from its architecture to its first training step; the first trial warms up.

python benchmarks/trial_start.py --data voc:../shared/data/voc-persons/VOCdevkit
"""

import statistics
import time
from typing import NoReturn, get_args

from common import Goal, end, make_parser, open_study, spread, table, train

from mlflow_nas.train import Freeze, NetworkModule
from mlflow_nas.trial import StudyContext
from mlflow_nas.types import Architecture

MOST_S = 1.0


class _FirstStep(BaseException):  # no error: `fit` lets it pass
    """Reached."""


def start_s(context: StudyContext, architecture: Architecture) -> float:
    """Seconds until the first batch lies before the network."""
    start = time.perf_counter()
    try:
        train(context, architecture)
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
    context = open_study(options, **{"training.freeze": options.freeze})
    NetworkModule.training_step = _stop  # type: ignore[method-assign,assignment]  # the measurement ends there
    first, *rest = [
        start_s(context, architecture) for architecture in spread(context.space, options.architectures)
    ]
    row = (
        len(context.train) + len(context.val),
        f"{first:.2f}",
        f"{statistics.median(rest):.2f}",
        f"{max(rest):.2f}",
    )
    head = ("images", "first, s", "later, median", "later, slowest")
    end(table(head, [row]), Goal(head[-1], max(rest), MOST_S, at_most=True))


if __name__ == "__main__":
    main()

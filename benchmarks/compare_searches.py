"""Do estimates find more than random draws of as many trainings?

Reads studies from MLflow (MLFLOW_TRACKING_URI, else ./mlflow.db): best mAP and hypervolume of (mAP, latency
ratio) of the trials that each strategy chose, beside draws of as many of the trials of random architectures.
The hypervolume's reference is that of `mlflow_nas report`.

    python benchmarks/compare_searches.py --study penn40,penn-random
"""

import argparse
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence

from common import table
from mlflow import MlflowClient

from mlflow_nas.pareto import hypervolume
from mlflow_nas.search.estimation.search_cost import WORST_RATIO
from mlflow_nas.tracking import connect, default_uri
from mlflow_nas.tracking.names import DRAWN, ESTIMATOR
from mlflow_nas.tracking.read import find_study, result_of, trial_runs
from mlflow_nas.types import TrialResult

RANDOM = "random"


def read(client: MlflowClient, experiment: str, studies: Sequence[str]) -> dict[str, list[TrialResult]]:
    """The measured trials of the studies by what chose them, without the baseline."""
    chosen: dict[str, list[TrialResult]] = defaultdict(list)
    for study in studies:
        for trial in trial_runs(client, find_study(client, experiment, study)):
            tags = trial.data.tags
            by = tags.get(ESTIMATOR) or (RANDOM if tags.get(DRAWN) == "random" else None)
            if by and {"map", "latency_ratio"} <= set(trial.data.metrics):
                chosen[by].append(result_of(trial))
    return chosen


def worth(trials: Sequence[TrialResult]) -> tuple[float, float]:
    """Best mAP, and hypervolume."""
    points = [(trial.metrics["map"], trial.metrics["latency_ratio"]) for trial in trials]
    return max(point[0] for point in points), hypervolume(points, (0.0, WORST_RATIO), (True, False))


def at_random(trials: Sequence[TrialResult], count: int, *, draws: int) -> tuple[str, str]:
    """Mean and standard deviation of both over random draws of `count` trials."""
    rng = random.Random(0)  # noqa: S311 - a draw of trials, not a secret
    columns = zip(*(worth(rng.sample(list(trials), count)) for _ in range(draws)), strict=True)
    best, volume = (f"{statistics.fmean(one):.3f} ± {statistics.pstdev(one):.3f}" for one in columns)
    return best, volume


def main() -> None:
    """Read, then print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=lambda text: text.split(","), required=True)
    parser.add_argument("--experiment", default="mlflow-nas")
    parser.add_argument("--draws", type=int, default=500)
    options = parser.parse_args()
    chosen = read(connect(default_uri()), options.experiment, options.study)
    drawn = chosen.pop(RANDOM, [])
    rows: list[tuple[object, ...]] = []
    for name, trials in chosen.items():
        best, volume = worth(trials)
        rows.append((name, len(trials), f"{best:.3f}", f"{volume:.3f}"))
        if drawn:
            best, volume = worth([*drawn, *trials])
            rows.append((f"{name} and random", len(drawn) + len(trials), f"{best:.3f}", f"{volume:.3f}"))
        if len(trials) < len(drawn):
            rows.append((RANDOM, len(trials), *at_random(drawn, len(trials), draws=options.draws)))
    if drawn:
        best, volume = worth(drawn)
        rows.append((RANDOM, len(drawn), f"{best:.3f}", f"{volume:.3f}"))
    sys.stdout.write(table(("chosen by", "trainings", "best mAP", "hypervolume"), rows))


if __name__ == "__main__":
    main()

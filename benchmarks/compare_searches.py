"""What did estimates choose, and would chance have found as much with as many trainings?

Reads studies from MLflow (MLFLOW_TRACKING_URI, else ./mlflow.db): best mAP and hypervolume of (mAP, latency
ratio) of the trials that each strategy chose, beside random draws of as many of the trials that chance chose.
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
from mlflow_nas.search.account import WORST_RATIO
from mlflow_nas.tracking import connect, default_uri, evaluation_of, trial_runs
from mlflow_nas.tracking.names import DRAWN, ESTIMATOR
from mlflow_nas.tracking.study import find_study
from mlflow_nas.types import Evaluation

CHANCE = "chance"


def read(client: MlflowClient, experiment: str, studies: Sequence[str]) -> dict[str, list[Evaluation]]:
    """The measured trials of the studies by who chose them, without the baseline, which nobody chose."""
    found = client.get_experiment_by_name(experiment)
    if found is None:
        raise SystemExit(f"there is no experiment {experiment!r}: name it with --experiment")
    chosen: dict[str, list[Evaluation]] = defaultdict(list)
    for study in studies:
        run = find_study(client, found.experiment_id, study)
        if run is None:
            raise SystemExit(f"there is no study {study!r} in the experiment {experiment!r}")
        for trial in trial_runs(client, found.experiment_id, run.info.run_id):
            tags = trial.data.tags
            by = tags.get(ESTIMATOR) or (CHANCE if tags.get(DRAWN) == "random" else None)
            if by and {"map", "latency_ratio"} <= set(trial.data.metrics):
                chosen[by].append(evaluation_of(trial))
    return chosen


def worth(trials: Sequence[Evaluation]) -> tuple[float, float]:
    """Best mAP, and hypervolume."""
    points = [(trial.metrics["map"], trial.metrics["latency_ratio"]) for trial in trials]
    return max(point[0] for point in points), hypervolume(points, (0.0, WORST_RATIO), (True, False))


def by_chance(trials: Sequence[Evaluation], count: int, *, draws: int) -> tuple[str, str]:
    """Mean and standard deviation of both over random draws of so many trials."""
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
    chance = chosen.pop(CHANCE, [])
    rows: list[tuple[object, ...]] = []
    for name, trials in chosen.items():
        best, volume = worth(trials)
        rows.append((name, len(trials), f"{best:.3f}", f"{volume:.3f}"))
        if chance:
            best, volume = worth([*chance, *trials])
            rows.append((f"{name}, with chance's", len(chance) + len(trials), f"{best:.3f}", f"{volume:.3f}"))
        if len(trials) < len(chance):
            rows.append((CHANCE, len(trials), *by_chance(chance, len(trials), draws=options.draws)))
    if chance:
        best, volume = worth(chance)
        rows.append((CHANCE, len(chance), f"{best:.3f}", f"{volume:.3f}"))
    sys.stdout.write(table(("chosen by", "trainings", "best mAP", "hypervolume"), rows))


if __name__ == "__main__":
    main()

"""Which sampler finds the best front: hypervolume on NAS-Bench-201, accuracy against FLOPs, beside random.

Each architecture comes once, as in a search. The table is read from --tables: nb201_full.csv.gz of the shared
data, all 15,625 architectures on two data sets. The curve of each search is kept in --results, so that an
interrupted call continues.

    python benchmarks/samplers.py --tables ../shared/data/nasbench
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import optuna
from common import Results, scratch_folder
from nasbench import MAXIMIZE, REFERENCE, Table, interval, nasbench_space, read_tables
from numpy.typing import NDArray
from optuna.trial import TrialState, create_trial

from mlflow_nas.pareto import hypervolume
from mlflow_nas.search.samplers import SAMPLERS, Proposer, Sampling, distributions, make_sampler
from mlflow_nas.space import SearchSpace

SINGLE_OBJECTIVE = ("cmaes",)


def _search(name: str, space: SearchSpace, table: Table, *, trials: int, seed: int) -> list[float]:
    """Hypervolume after each trial."""
    proposer = Proposer(make_sampler(name, Sampling(space, trials, seed)), space, seed=seed)
    study = optuna.create_study(directions=["maximize", "minimize"])
    seen: list[str] = []
    curve: list[float] = []
    for _ in range(trials):
        proposal = proposer.propose(study, seen)
        seen.append(space.key(proposal.architecture))
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                values=table.points[seen[-1]],
                params=proposal.architecture,
                distributions=distributions(space),
                system_attrs=proposal.system_attrs,
            )
        )
        curve.append(hypervolume([table.points[key] for key in seen], REFERENCE, MAXIMIZE))
    return curve


def _run(
    results: Results, names: Sequence[str], space: SearchSpace, table: Table, *, seed: int, trials: int
) -> None:
    """The searches of a seed that are missing."""
    for name in names:
        identity = {"data": table.data, "sampler": name, "seed": seed, "trials": trials}
        if not results.has(identity):
            began = time.process_time()
            curve = _search(name, space, table, trials=trials, seed=seed)
            results.add({**identity, "curve": curve, "cpu_s": time.process_time() - began})


def _row(name: str, curves: NDArray[np.float64], random: NDArray[np.float64], steps: Sequence[int]) -> str:
    low, high = interval(curves[:, -1])
    gain_low, gain_high = interval(curves[:, -1] - random[:, -1])
    anytime = " | ".join(f"{curves[:, step - 1].mean():.4f}" for step in steps)
    return f"| {name} | {anytime} | {low:.4f} to {high:.4f} | {gain_low:+.4f} to {gain_high:+.4f} |"


def _report(results: Results, names: Sequence[str], table: Table, *, seeds: int, trials: int) -> str:
    """The Markdown table of a data set."""
    steps = [one for one in (10, 20, 40, 60, 100, 200) if one < trials] + [trials]
    best = hypervolume(list(table.points.values()), REFERENCE, MAXIMIZE)
    shown = " | ".join(f"{step} trials" for step in steps)
    lines = [
        f"\n{table.data}: hypervolume, mean of {seeds} seeds; the whole table's is {best:.4f}\n",
        f"| sampler | {shown} | 95 % of the last | 95 % of the difference to random | CPU ms a trial |",
        f"|---|{'---|' * (len(steps) + 3)}",
    ]
    random = None
    for name in names:
        wanted = {"data": table.data, "sampler": name, "trials": trials}
        rows = [row for row in results if row["seed"] < seeds and wanted.items() <= row.items()]
        curves = np.array([row["curve"] for row in sorted(rows, key=lambda row: int(row["seed"]))])
        random = curves if random is None else random
        spent = sum(row["cpu_s"] for row in rows) * 1000 / curves.size
        lines.append(f"{_row(name, curves, random, steps)} {spent:.0f} |")
    return "\n".join(lines)


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def main() -> int:
    """Print one table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/nasbench"))
    parser.add_argument(
        "--samplers", default=",".join(one for one in SAMPLERS if one not in SINGLE_OBJECTIVE)
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=scratch_folder() / "samplers.jsonl")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = ["random", *(one for one in options.samplers.split(",") if one != "random")]
    results, space = Results(options.results, ("data", "sampler", "seed", "trials")), nasbench_space()
    tables = read_tables(options.tables, space)
    for seed in range(options.seeds):
        for table in tables:
            _run(results, names, space, table, seed=seed, trials=options.trials)
    for table in tables:
        _write(_report(results, names, table, seeds=options.seeds, trials=options.trials))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Which sampler finds the best front: hypervolume on NAS-Bench-201, accuracy against FLOPs, beside random.

Each architecture comes once, as in a search. The table is read from --tables: nb201_full.csv.gz of the shared
data, all 15,625 architectures on two data sets.

    python benchmarks/samplers.py --tables ../shared/data/nasbench
"""

import argparse
import csv
import gzip
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState, create_trial

from mlflow_nas.pareto import hypervolume
from mlflow_nas.search.samplers import SAMPLERS, Proposer, Sampling, distributions, make_sampler
from mlflow_nas.space import FastestDet, Parameter, SearchSpace
from mlflow_nas.types import Architecture

EDGES = 6
SINGLE_OBJECTIVE = ("cmaes",)
MAXIMIZE = (True, False)


class Table(NamedTuple):
    """Accuracy and FLOPs of each architecture, both scaled to 0..1 over the table."""

    data: str
    points: dict[str, tuple[float, float]]


def _no_network(_architecture: Architecture, _classes: int) -> NoReturn:
    raise ValueError("the table holds no networks")


def _space() -> SearchSpace:
    names = [f"edge{index}" for index in range(EDGES)]
    parameters = {
        name: Parameter(short=f"e{index}", values=("o0", "o1", "o2", "o3", "o4"))
        for index, name in enumerate(names)
    }
    build: type[FastestDet] = _no_network  # type: ignore[assignment]
    return SearchSpace(name="nb201", parameters=parameters, baseline=dict.fromkeys(names, "o0"), build=build)


def _read(path: Path, space: SearchSpace) -> list[Table]:
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    keys = [
        space.key({f"edge{index}": f"o{op}" for index, op in enumerate(_operations(row["ops"]))})
        for row in rows
    ]
    flops = _scaled([float(row["flops_m"]) for row in rows])
    return [
        Table(
            data,
            dict(
                zip(
                    keys,
                    zip(_scaled([float(row[f"val_acc_{data}"]) for row in rows]), flops, strict=True),
                    strict=True,
                )
            ),
        )
        for data in ("cifar10", "cifar100")
    ]


def _operations(text: str) -> list[int]:
    return [int(one) for one in text.strip("()").split(",")]


def _scaled(values: Sequence[float]) -> list[float]:
    array = np.asarray(values)
    return [float(one) for one in (array - array.min()) / (array.max() - array.min())]


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
        curve.append(hypervolume([table.points[key] for key in seen], (0.0, 1.0), MAXIMIZE))
    return curve


def _interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the mean over seeds, by the bootstrap."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _row(name: str, curves: NDArray[np.float64], random: NDArray[np.float64], steps: Sequence[int]) -> str:
    low, high = _interval(curves[:, -1])
    gain_low, gain_high = _interval(curves[:, -1] - random[:, -1])
    anytime = " | ".join(f"{curves[:, step - 1].mean():.4f}" for step in steps)
    return f"| {name} | {anytime} | {low:.4f} to {high:.4f} | {gain_low:+.4f} to {gain_high:+.4f} |"


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print one table per data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/nasbench"))
    parser.add_argument(
        "--samplers", default=",".join(one for one in SAMPLERS if one not in SINGLE_OBJECTIVE)
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    names = ["random", *(one for one in options.samplers.split(",") if one != "random")]
    steps = [one for one in (10, 20, 40, 60, 100, 200) if one < options.trials] + [options.trials]
    space = _space()
    for table in _read(options.tables / "nb201_full.csv.gz", space):
        best = hypervolume(list(table.points.values()), (0.0, 1.0), MAXIMIZE)
        _write(
            f"\n{table.data}: hypervolume, mean of {options.seeds} seeds; the whole table's is {best:.4f}\n"
        )
        trials = " | ".join(f"{step} trials" for step in steps)
        _write(
            f"| sampler | {trials} | 95 % of the last | 95 % of the difference to random | CPU ms a trial |"
        )
        _write(f"|---|{'---|' * (len(steps) + 3)}")
        random = None
        for name in names:
            began = time.process_time()
            curves = np.array(
                [
                    _search(name, space, table, trials=options.trials, seed=seed)
                    for seed in range(options.seeds)
                ]
            )
            spent = (time.process_time() - began) * 1000 / curves.size
            random = curves if random is None else random
            _write(f"{_row(name, curves, random, steps)} {spent:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""NAS-Bench-201 (arXiv:2001.00326) as a search space: accuracy and FLOPs of all 15,625 architectures.

The files are `nb201_full.csv.gz` of the shared data; they hold final accuracies on two data sets, no curves.
"""

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.space import FastestDet, Parameter, SearchSpace
from mlflow_nas.types import Architecture

__all__ = ["MAXIMIZE", "REFERENCE", "Table", "interval", "nasbench_space", "read_tables"]

EDGES = 6
MAXIMIZE = (True, False)
REFERENCE = (0.0, 1.0)
"""Point of the hypervolume: accuracy 0 and FLOPs 1, both scaled."""
FILE = "nb201_full.csv.gz"


class Table(NamedTuple):
    """Accuracy and FLOPs of each architecture, scaled to 0..1 over the table, by the architecture's key."""

    data: str
    points: dict[str, tuple[float, float]]


def _no_network(_architecture: Architecture, _classes: int) -> NoReturn:
    raise ValueError("the table holds no networks")


def nasbench_space() -> SearchSpace:
    """Six edges of five operations."""
    names = [f"edge{index}" for index in range(EDGES)]
    parameters = {
        name: Parameter(short=f"e{index}", values=("o0", "o1", "o2", "o3", "o4"))
        for index, name in enumerate(names)
    }
    build: type[FastestDet] = _no_network  # type: ignore[assignment]
    return SearchSpace(name="nb201", parameters=parameters, baseline=dict.fromkeys(names, "o0"), build=build)


def read_tables(folder: Path, space: SearchSpace) -> list[Table]:
    """The table of each data set."""
    with gzip.open(folder / FILE, "rt") as file:
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


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % of the mean over seeds, by the bootstrap."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)

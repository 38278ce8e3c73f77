"""What the measuring scripts share: options, spread architectures, a bench, a file of results, goals."""

import argparse
import json
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

from mlflow_nas.board import get_board
from mlflow_nas.config import find_device
from mlflow_nas.data import DetectionDataModule, load_splits
from mlflow_nas.search import Workbench
from mlflow_nas.space import (
    FastestDet,
    SearchSpace,
    fastestdet_head,
    load_backbone_weights,
    load_seed_weights,
)
from mlflow_nas.train import Recipe, evaluate_network, fine_tuning, fit
from mlflow_nas.types import Architecture

__all__ = ["Goal", "Results", "end", "make_parser", "open_bench", "spread", "table", "train"]


def make_parser(purpose: str | None) -> argparse.ArgumentParser:
    """Options that every script takes."""
    parser = argparse.ArgumentParser(
        description=purpose, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", default="coco:../shared/data/penn-fudan", help="data, as for search")
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights/fastestdet_coco.pth"))
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--batch-size", type=int, default=8)
    ours = fine_tuning()
    parser.add_argument(
        "--learning-rate", type=float, default=ours.learning_rate, help="its peak for weights cut to fit"
    )
    parser.add_argument(
        "--kept-rate", type=float, default=ours.kept_rate, help="its peak for weights inherited as they were"
    )
    parser.add_argument(
        "--distillation",
        type=float,
        default=ours.distillation,
        help="weight of what the seed network teaches",
    )
    return parser


def open_bench(options: argparse.Namespace, *, seed: int = 0, val_views: int | None = None) -> Workbench:
    """The bench of a search with these options; no board is asked.

    Args:
        options: of `make_parser`.
        seed: of weights, order and augmentation.
        val_views: on how many views of val is measured; None for as many as in a search.
    """
    torch.set_num_threads(options.threads)
    rates = (options.learning_rate, options.kept_rate)
    recipe = Recipe(fine_tuning_rates=rates, distillation=options.distillation)
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "mlflow_nas-benchmarks" / str(os.getpid())  # noqa: S108 - scratch
    data = load_splits(options.data, ("person",), val_views=val_views)
    return Workbench(
        space=fastestdet_head(),
        train=data.train,
        val=data.val,
        board=get_board(replace(find_device("fake"), directory=str(folder)), threads=1),
        folder=folder,
        epochs=1,
        batch_size=options.batch_size,
        seed=seed,
        recipe=fine_tuning(recipe),
        weights=load_seed_weights(options.weights).for_classes(("person",)),
        backbone_weights=load_backbone_weights(options.weights),
    )


def train(
    bench: Workbench, architecture: Architecture, *, fresh_head: bool = False, measure_last: bool = False
) -> tuple[FastestDet, DetectionDataModule, dict[str, float]]:
    """The network, trained on the CPU as a trial trains it, its data and its metrics.

    Args:
        bench: of `open_bench`.
        architecture: what is trained.
        fresh_head: inherit the published detector's backbone only, at the rates of a fresh head.
        measure_last: measure no epoch, only the trained network, which takes less time.
    """
    own = _with_fresh_head(bench) if fresh_head else bench
    network, data = own.build(architecture), own.data(architecture)
    hardly_measured = replace(bench, val=bench.val.part(bench.val.records[:1]))
    fitted = fit(
        network,
        hardly_measured.data(architecture) if measure_last else data,
        epochs=own.epochs,
        seed=own.seed,
        recipe=own.recipe,
        kept=own.kept(network),
        teacher=bench.teacher(architecture),
        accelerator="cpu",
    )
    metrics = {**fitted.metrics, **evaluate_network(network, data)}
    return network, data, metrics


def _with_fresh_head(bench: Workbench) -> Workbench:
    own = Recipe()
    recipe = replace(bench.recipe, learning_rate=own.learning_rate, kept_rate=own.kept_rate)
    return replace(bench, weights=None, recipe=recipe)


def spread(space: SearchSpace, count: int, *, seed: int = 0) -> list[Architecture]:
    """The baseline, then a Latin hypercube: each parameter's values are used evenly."""
    rng = random.Random(seed)  # noqa: S311 - a draw of architectures, not a secret
    columns = {}
    for name, parameter in space.parameters.items():
        places = [(index + 0.5) / (count - 1) for index in range(count - 1)]
        rng.shuffle(places)
        columns[name] = [parameter.values[int(place * len(parameter.values))] for place in places]
    drawn = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [dict(space.baseline), *drawn]


class Results:
    """A file of results, one JSON object a line: an interrupted script goes on where it was.

    Args:
        path: the file; made when the first result comes.
        identity: names of the fields that tell one result from another.
    """

    def __init__(self, path: Path, identity: tuple[str, ...]) -> None:
        self._path, self._identity = path, identity
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        self._rows: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._rows)

    def has(self, wanted: Mapping[str, object]) -> bool:
        """Whether there is a result of that identity."""
        return any(all(row.get(name) == wanted[name] for name in self._identity) for row in self._rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one result."""
        self._rows.append(dict(row))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


class Goal(NamedTuple):
    """A figure and the bound that it has to keep.

    Attributes:
        name: what was measured.
        value: the figure.
        bound: what it may be at worst.
        at_most: the bound is the most, not the least.
    """

    name: str
    value: float
    bound: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the figure keeps its bound."""
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def __str__(self) -> str:
        side, said = "at most" if self.at_most else "at least", "reached" if self.reached else "MISSED"
        return f"{self.name}: {self.value:.3g}, goal {side} {self.bound:g}: {said}"


def end(report: str, *goals: Goal) -> NoReturn:
    """Print what was measured and how it stands to the goals; the exit status is 1 when one was missed."""
    sys.stdout.write("\n".join([report, *map(str, goals), ""] if goals else [report]))
    sys.exit(not all(goal.reached for goal in goals))

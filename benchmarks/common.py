"""What the measuring scripts share: options, a study's context, spread architectures, results, goals."""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch
from torch import nn

from mlflow_nas.config import SearchConfig, load_config
from mlflow_nas.data import DetectionDataModule
from mlflow_nas.search import open_context, seeded
from mlflow_nas.space import SearchSpace, load_backbone_weights
from mlflow_nas.tasks import evaluate_network
from mlflow_nas.train import Recipe, TrainerSettings, fine_tuning, fit
from mlflow_nas.trial import GivenDetector, StepCache, StudyContext
from mlflow_nas.types import Architecture

__all__ = [
    "Goal",
    "Results",
    "end",
    "given_detector",
    "make_parser",
    "open_study",
    "scratch_folder",
    "spread",
    "table",
    "train",
]


def make_parser(purpose: str | None) -> argparse.ArgumentParser:
    """Options that every script takes."""
    parser = argparse.ArgumentParser(
        description=purpose, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", default="coco:../shared/data/penn-fudan", help="data, as for search")
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights/fastestdet_coco.pth"))
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--batch-size", type=int, default=8)
    default = fine_tuning()
    parser.add_argument(
        "--learning-rate", type=float, default=default.learning_rate, help="its peak for sliced weights"
    )
    parser.add_argument(
        "--unchanged-rate",
        type=float,
        default=default.unchanged_rate,
        help="its peak for weights that equal the seed network's",
    )
    parser.add_argument(
        "--distillation",
        type=float,
        default=default.distillation,
        help="weight of the loss on the seed network's soft targets",
    )
    return parser


def open_study(options: argparse.Namespace, **settings: object) -> StudyContext:
    """What the trials of a search with these options share, on the fake board.

    Args:
        options: of `make_parser`.
        settings: further ones of a search, by option or dotted name.
    """
    torch.set_num_threads(options.threads)
    given = {
        "data": options.data,
        "weights": options.weights,
        "board": "fake",
        "training.batch_size": options.batch_size,
        "training.distillation": options.distillation,
        "training.freeze": "none",
        "training.threads": options.threads,
        **settings,
    }
    config = load_config(SearchConfig, given)
    context = seeded(open_context(config, cache=StepCache(scratch_folder() / "cache")))
    rates = {"learning_rate": options.learning_rate, "unchanged_rate": options.unchanged_rate}
    return replace(context, recipe=replace(context.recipe, **rates))


def given_detector(context: StudyContext) -> GivenDetector:
    """The detector of `--weights`, as it is.

    Raises:
        ValueError: they are not those of the space's baseline.
    """
    if not isinstance(context.given, GivenDetector):
        raise ValueError("--weights are no detector of the baseline's architecture: give the published ones")  # noqa: TRY004
    return context.given


def scratch_folder() -> Path:
    """Of this process, for files that nobody needs afterwards."""
    folder = Path(tempfile.gettempdir()) / "mlflow_nas-benchmarks" / str(os.getpid())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def train(
    context: StudyContext,
    architecture: Architecture,
    *,
    fresh_head: bool = False,
    measure_last: bool = False,
) -> tuple[nn.Module, DetectionDataModule, dict[str, float]]:
    """The network, trained on the CPU as a trial trains it, its data and its metrics.

    Args:
        context: of `open_study`.
        architecture: what is trained.
        fresh_head: transfer the published detector's backbone only, at the rates of a fresh head.
        measure_last: measure no epoch, only the trained network, which takes less time.
    """
    own = _with_fresh_head(context) if fresh_head else context
    network, data = own.build(architecture), own.data(architecture)
    hardly_measured = replace(context, val=context.val.part(context.val.records[:1]))
    trained = fit(
        network,
        hardly_measured.data(architecture) if measure_last else data,
        epochs=own.epochs,
        seed=own.seed,
        recipe=own.recipe,
        unchanged=own.weights.unchanged_in(network) if own.weights else (),
        teacher=context.teacher(architecture),
        parts=context.parts,
        trainer=TrainerSettings(accelerator="cpu"),
        threads=context.threads,
    )
    return network, data, {**trained.metrics, **evaluate_network(network, data)}


def _with_fresh_head(context: StudyContext) -> StudyContext:
    fresh = Recipe()
    recipe = replace(context.recipe, learning_rate=fresh.learning_rate, unchanged_rate=fresh.unchanged_rate)
    backbone = load_backbone_weights(Path(context.weights.source)) if context.weights else None
    return replace(context, weights=None, backbone_weights=backbone, recipe=recipe)


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
    """A file of results, one JSON object a line: an interrupted script continues with it.

    Args:
        path: the file; made when the first result comes.
        identity: names of the fields in which two results differ.
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
        side, state = "at most" if self.at_most else "at least", "reached" if self.reached else "MISSED"
        return f"{self.name}: {self.value:.3g}, goal {side} {self.bound:g}: {state}"


def end(report: str, *goals: Goal) -> NoReturn:
    """Print the report and the goals; the exit status is 1 when one is missed."""
    sys.stdout.write("\n".join([report, *map(str, goals), ""] if goals else [report]))
    sys.exit(not all(goal.reached for goal in goals))

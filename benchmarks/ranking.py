"""Does a short training rank architectures, or noise?

Trains spread architectures with two seeds at each given schedule, by default that of a search, and prints
how well the two rankings agree (Kendall's tau-b of mAP). With --long, the same architectures are trained that
long from a fresh head with --long-seeds seeds, the seed network being their teacher too, and the mean is what
each short schedule is compared with; --long-freeze none trains their backbone as well.
With --trainings 2, each of the two rankings is by the mean of two trainings, which take twice as long.
With --freeze none,backbone, trainings of the head alone are compared with the longest whole ones. `map_alone`
is mAP on the validation images as they are, without augmented copies. Results go to --out, one line
each; the same command continues after an interruption.

    python benchmarks/ranking.py
"""

import argparse
import itertools
import math
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from common import Goal, Results, end, make_parser, open_study, scratch_folder, spread, table, train

from mlflow_nas.data import calibration_images, in_order
from mlflow_nas.estimate.selection import draw_weights, interval, pairs_of, weighted_tau_b
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import SearchSpace, read_architecture
from mlflow_nas.tasks import evaluate_outputs
from mlflow_nas.train import Freeze, Recipe
from mlflow_nas.trial import StudyContext
from mlflow_nas.types import Architecture

IDENTITY = ("data", "eval_augmentations", "key", "start", "freeze", "rates", "distillation", "epochs", "seed")
TRANSFERRED, FRESH = "transferred", "fresh head"
CALIBRATION_IMAGES = 32
RANKINGS = 2
"""That are compared, each by the mean of --trainings trainings of every architecture."""
DRAWS = 2_000
METRICS = ("map", "map_alone", "map_fp32", "map_50")
LEAST_REPEATED, LEAST_TO_FRESH = 0.9, 0.8
"""Goals for the tau of `map`: between two seeds, and of their mean to the long trainings."""


def train_once(
    context: StudyContext, architecture: Architecture, *, fresh_head: bool = False
) -> dict[str, float]:
    """Train, quantize and measure one architecture as a trial does, without its latency.

    The epochs of a training from a fresh head are not measured one by one.
    """
    started = time.perf_counter()
    network, data, metrics = train(context, architecture, fresh_head=fresh_head, measure_last=fresh_head)
    size, folder = context.input_size(architecture), scratch_folder()
    images = calibration_images(context.train, img_size=size, count=CALIBRATION_IMAGES, seed=context.seed)
    fp32 = export_onnx(network, folder / "float.onnx", img_size=size, metadata={})
    choices = Quantization(float_modules=context.space.float_modules)
    int8 = quantize_int8(fp32, folder / "int8.onnx", calibration=images, choices=choices)
    accuracy = evaluate_outputs(OnnxDetector(int8), data.batches("val"))
    trial_s = time.perf_counter() - started
    batches = in_order(context.val.originals, img_size=size)
    alone = evaluate_outputs(OnnxDetector(int8), batches)
    return {**metrics, **accuracy, "map_alone": alone["map"], "trial_s": trial_s}


def open_own(options: argparse.Namespace, **settings: object) -> StudyContext:
    """The context with the options of this script."""
    return open_study(options, **{"data.eval_augmentations": options.eval_augmentations}, **settings)


def chosen(options: argparse.Namespace, space: SearchSpace) -> list[Architecture]:
    """The spread architectures, and those of --also."""
    return spread(space, options.architectures) + [read_architecture(space, key) for key in options.also]


def run(
    options: argparse.Namespace, results: Results, *, start: str, freeze: Freeze, epochs: int, seeds: int
) -> None:
    """Train what is not in the results yet."""
    for seed in range(seeds):
        context = open_own(options, seed=seed, epochs=epochs, **{"training.freeze": freeze})
        paced = Recipe() if start == FRESH else context.recipe
        own = {
            "data": options.data,
            "eval_augmentations": options.eval_augmentations,
            "start": start,
            "freeze": freeze,
            "rates": [paced.learning_rate, paced.unchanged_rate],
            "distillation": context.recipe.distillation,
            "epochs": epochs,
        }
        for architecture in chosen(options, context.space):
            row = {**own, "key": context.space.key(architecture), "seed": seed}
            if not results.has(row):
                metrics = train_once(context, architecture, fresh_head=start == FRESH)
                row |= {name: round(value, 4) for name, value in metrics.items()}
                results.add(row)
                sys.stderr.write(f"{row}\n")


def column(
    results: Iterable[dict[str, object]], keys: Sequence[str], metric: str, **wanted: object
) -> list[float]:
    """One metric of all architectures, in the order of the keys."""
    rows = [row for row in results if all(row.get(name) == value for name, value in wanted.items())]
    found = {str(row["key"]): float(str(row[metric])) for row in rows}
    return [found[key] for key in keys]


class Tau(NamedTuple):
    """An agreement with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


def tau(first: Sequence[float], second: Sequence[float]) -> Tau:
    """Kendall's tau-b (doi:10.1093/biomet/33.3.239) with its 95 % interval over draws of architectures."""
    one, other = (pairs_of(np.array(values)) for values in (first, second))
    weights = draw_weights(len(first), DRAWS, seed=0)
    low, high = interval(weighted_tau_b([one], other, weights)[:, 0])
    whole = weighted_tau_b([one], other, np.ones((1, len(first))))[0, 0]
    return Tau(float(whole), float(low), float(high))


def seed_noise(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """Standard deviation that a seed gives one training, and the tau that it lets expect of two seeds.

    With differences between architectures and noise that are normal, tau = 2/pi arcsin of the correlation
    (Greiner's relation, doi:10.1080/01621459.1958.10501481).
    """
    noise = float(np.std(np.subtract(first, second), ddof=1)) / math.sqrt(2)
    between = max(float(np.var(np.add(first, second) / 2, ddof=1)) - noise**2 / 2, 0.0)
    return noise, 2 / math.pi * math.asin(between / max(between + noise**2, 1e-12))


def report(options: argparse.Namespace, results: Results, keys: Sequence[str]) -> tuple[str, list[Goal]]:
    """What was measured, as Markdown; a schedule's agreement with others is that of its seeds' mean."""
    rates = [options.learning_rate, options.unchanged_rate]
    measured = {"data": options.data, "eval_augmentations": options.eval_augmentations}
    transferred = {
        **measured,
        "start": TRANSFERRED,
        "rates": rates,
        "distillation": options.distillation,
    }
    fresh = {
        **measured,
        "start": FRESH,
        "freeze": options.long_freeze,
        "distillation": options.distillation,
        "epochs": options.long,
    }
    whole = {**transferred, "freeze": "none", "epochs": max(options.epochs)}

    def columns(metric: str, seeds: int, wanted: Mapping[str, object]) -> list[list[float]]:
        return [column(results, keys, metric, seed=seed, **wanted) for seed in range(seeds)]

    rows: list[tuple[object, ...]] = []
    goals: list[Goal] = []
    for freeze, epochs, metric in itertools.product(options.freeze, options.epochs, METRICS):
        own = {**transferred, "freeze": freeze, "epochs": epochs}
        each = columns(metric, RANKINGS * options.trainings, own)
        first, second = _means(each[: options.trainings]), _means(each[options.trainings :])
        gap = statistics.fmean(abs(one - other) for one, other in zip(first, second, strict=True))
        mean, repeated = _means((first, second)), tau(first, second)
        noise, expected = seed_noise(first, second)
        to_fresh = tau(mean, _means(columns(metric, options.long_seeds, fresh))) if options.long else None
        beside_whole = "none" in options.freeze and own != whole
        to_whole = (
            tau(mean, _means(columns(metric, RANKINGS * options.trainings, whole))) if beside_whole else ""
        )
        if metric == "map":
            several = f", means of {options.trainings}" if options.trainings > 1 else ""
            schedule = f"{epochs} epochs, frozen: {freeze}{several}"
            goals.append(Goal(f"tau of two seeds, {schedule}", repeated.value, LEAST_REPEATED))
            if to_fresh:
                goals.append(Goal(f"tau to fresh, {schedule}", to_fresh.value, LEAST_TO_FRESH))
        trial_s = columns("trial_s", RANKINGS * options.trainings, own)
        seconds = options.trainings * statistics.fmean(itertools.chain(*trial_s))
        rows.append(
            (
                freeze,
                epochs,
                metric,
                repeated,
                f"{gap:.3f}",
                f"{noise:.4f}",
                f"{expected:.2f}",
                to_fresh or "not run",
                to_whole,
                f"{seconds:.0f}",
            )
        )
    if options.long:
        pairs = itertools.combinations(columns("map", options.long_seeds, fresh), 2)
        agreements = "; ".join(str(tau(*pair)) for pair in pairs)
        rows.append(("fresh head", options.long, "map", agreements, "", "", "", "", "", ""))
    head = (
        "frozen",
        "epochs",
        "metric",
        "tau of two seeds",
        "mean gap",
        "seed noise",
        "expected tau",
        "tau to fresh",
        "tau to whole",
        "s",
    )
    return table(head, rows), goals


def _means(columns: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.fmean(values) for values in zip(*columns, strict=True)]


def main() -> None:
    """Train, then print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument(
        "--also", type=lambda text: text.split(","), default=[], help="keys of further ones, comma-separated"
    )
    parser.add_argument(
        "--epochs",
        type=lambda text: [int(part) for part in text.split(",")],
        help="of the short trainings, comma-separated; unset: those of a search",
    )
    parser.add_argument(
        "--trainings", type=int, default=1, help="of each architecture and schedule that a ranking averages"
    )
    parser.add_argument("--long", type=int, default=0, help="epochs of the fresh-head training; 0 for none")
    parser.add_argument("--long-seeds", type=int, default=3, help="trainings that the reference averages")
    parser.add_argument(
        "--long-freeze", default="backbone", choices=("none", "backbone"), help="what it leaves as it is"
    )
    parser.add_argument("--eval-augmentations", type=int, help="of each image; unset: those of a search")
    parser.add_argument("--out", type=Path, default=Path("build/ranking.jsonl"))
    parser.add_argument(
        "--freeze", type=lambda text: text.split(","), default=["backbone"], help="none,backbone"
    )
    options = parser.parse_args()
    context = open_own(options)
    options.eval_augmentations = context.val.eval_augmentations
    options.epochs = options.epochs or [context.epochs]
    results = Results(options.out, IDENTITY)
    seeds = RANKINGS * options.trainings
    for freeze, epochs in itertools.product(options.freeze, options.epochs):
        run(options, results, start=TRANSFERRED, freeze=freeze, epochs=epochs, seeds=seeds)
    if options.long:
        run(
            options,
            results,
            start=FRESH,
            freeze=options.long_freeze,
            epochs=options.long,
            seeds=options.long_seeds,
        )
    keys = [context.space.key(architecture) for architecture in chosen(options, context.space)]
    text, goals = report(options, results, keys)
    end(text, *goals)


if __name__ == "__main__":
    main()

"""Does one supernet rank architectures as long trainings of each do?

Trains one supernet per seed, scores the architectures that ranking.py trained long, and prints Kendall's
tau-b to the mean of their long trainings, between two supernets, and for comparison of the default trials.
The trainings are read from --reference. Scores go to --out, one line each; the same command continues after
an interruption.

    python benchmarks/supernet.py
    python benchmarks/supernet.py --data voc:../shared/data/voc-persons/VOCdevkit --long 20
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from common import Goal, Results, end, make_parser, open_study, spread, table
from ranking import FRESH, TRANSFERRED, column, tau

from mlflow_nas.space import INPUT_SIZES
from mlflow_nas.tasks import evaluate_network
from mlflow_nas.trial import StepCache, StudyContext, Supernet, open_supernet
from mlflow_nas.types import Architecture

IDENTITY = ("data", "eval_augmentations", "key", "epochs", "seed", "distillation")
LEAST_TO_LONG, LEAST_REPEATED, MOST_QUERY_S = 0.85, 0.90, 1.0
"""Goals: tau to the long trainings, tau of two supernets, seconds of processor time a candidate."""


class _Epochs:
    """Writes the loss of each epoch."""

    def step(self, name: str) -> None:
        """Write its name."""
        sys.stderr.write(f"{name}\n")

    def epoch(self, number: int, metrics: Mapping[str, float]) -> None:
        """Write its loss."""
        sys.stderr.write(f"epoch {number}: {metrics['train_loss']:.3f}\n")


def open_own(options: argparse.Namespace, seed: int) -> StudyContext:
    """The context of one seed, with a step cache that stays."""
    settings = {"training.freeze": "backbone", "data.eval_augmentations": options.eval_augmentations}
    return replace(open_study(options, seed=seed, **settings), cache=StepCache(options.cache))


def measure(options: argparse.Namespace, results: Results, seed: int) -> None:
    """Score what is not in the results yet."""
    context = open_own(options, seed)
    supernet: Supernet | None = None
    own = {
        "data": options.data,
        "eval_augmentations": context.val.eval_augmentations,
        "epochs": context.epochs,
        "seed": seed,
        "distillation": context.recipe.distillation,
    }
    chosen = spread(context.space, options.architectures)
    for architecture in chosen:
        row = {**own, "key": context.space.key(architecture)}
        if results.has(row):
            continue
        supernet = supernet or open_supernet(context, listener=_Epochs())
        other = next(one for one in chosen if one != architecture)
        first_s, _ = _timed(supernet, {**other, **_size(architecture)})
        query_s, quality = _timed(supernet, architecture)
        row |= {
            "map_fp32": round(quality, 4),
            "first_of_size_s": round(first_s, 2),
            "query_s": round(query_s, 2),
            "train_s": round(supernet.train_s, 1),
        }
        if options.adapted:
            row["map_fp32_adapted"] = round(_adapted(supernet, context, architecture, options.adapted), 4)
        results.add(row)
        sys.stderr.write(f"{row}\n")


def _size(architecture: Architecture) -> Architecture:
    return {name: value for name, value in architecture.items() if name in INPUT_SIZES}


def _timed(supernet: Supernet, architecture: Architecture) -> tuple[float, float]:
    """Processor seconds of a score, and the score; the first one of an input size computes its features."""
    began = time.process_time()
    score = supernet.score(architecture)
    return time.process_time() - began, score.quality


def _adapted(supernet: Supernet, context: StudyContext, architecture: Architecture, epochs: int) -> float:
    network = supernet.adapted(architecture, epochs=epochs)
    return evaluate_network(network, context.data(architecture))["map_fp32"]


def means(
    rows: Results, keys: Sequence[str], metric: str, *, seeds: int, **wanted: object
) -> list[float] | None:
    """The mean of a metric over the seeds that were trained; None where a training is missing."""
    try:
        columns = [column(rows, keys, metric, seed=seed, **wanted) for seed in range(seeds)]
    except KeyError:
        return None
    return [statistics.fmean(values) for values in zip(*columns, strict=True)]


def make_options() -> argparse.Namespace:
    """Of the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--seeds", type=int, default=2, help="supernets")
    parser.add_argument("--adapted", type=int, default=2, help="epochs of a candidate's own; 0 for none")
    parser.add_argument("--long", type=float, default=70, help="epochs of the long trainings")
    parser.add_argument("--trial", type=float, default=14, help="epochs of a trial, for comparison")
    parser.add_argument("--eval-augmentations", type=int, help="of each image; unset: those of a search")
    parser.add_argument("--reference", type=Path, default=Path("docs/results/measured/ranking.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("build/supernet.jsonl"))
    parser.add_argument("--cache", type=Path, default=Path("build/supernet-cache"), help="of supernets")
    return parser.parse_args()


def main() -> None:
    """Train and score, then print the table."""
    options = make_options()
    results, trainings = Results(options.out, IDENTITY), Results(options.reference, ())
    for seed in range(options.seeds):
        measure(options, results, seed)
    context = open_own(options, 0)
    keys = [context.space.key(one) for one in spread(context.space, options.architectures)]
    data = {
        "data": options.data,
        "eval_augmentations": context.val.eval_augmentations,
        "distillation": options.distillation,
    }
    frozen = {**data, "freeze": "backbone"}
    long = means(trainings, keys, "map", seeds=3, start=FRESH, epochs=options.long, **frozen)
    trial = means(trainings, keys, "map", seeds=2, start=TRANSFERRED, epochs=options.trial, **frozen)
    if long is None:
        sys.exit(f"{options.reference} lacks the long trainings: run benchmarks/ranking.py --long first")

    def of_seeds(metric: str) -> list[list[float]]:
        return [column(results, keys, metric, seed=seed, **data) for seed in range(options.seeds)]

    scores = of_seeds("map_fp32")
    train_s, query_s = (statistics.fmean(itertools.chain(*of_seeds(name))) for name in ("train_s", "query_s"))
    mean = [statistics.fmean(values) for values in zip(*scores, strict=True)]
    rows = [(f"supernet, seed {seed}", tau(values, long)) for seed, values in enumerate(scores)]
    if options.adapted:
        adapted = of_seeds("map_fp32_adapted")
        rows += [
            (f"seed {seed} after {options.adapted} epochs of its own", tau(values, long))
            for seed, values in enumerate(adapted)
        ]
    rows.append((f"mean of {options.seeds} supernets", tau(mean, long)))
    if trial is not None:
        rows.append((f"trials of {options.trial:g} epochs, mean of 2 seeds", tau(trial, long)))
    each = [(key, *(f"{values[place]:.3f}" for values in (*scores, long))) for place, key in enumerate(keys)]
    seeds = [f"seed {seed}" for seed in range(options.seeds)]
    text = table(("ranked by", "tau to long"), rows)
    text += "\n" + table(("architecture", *seeds, "long"), each)
    text += f"\nTraining {train_s:.0f} s, then {query_s:.2f} s of processor time a candidate.\n"
    goals = [
        Goal(f"tau to long, seed {seed}", tau(values, long).value, LEAST_TO_LONG)
        for seed, values in enumerate(scores)
    ]
    goals += [
        Goal("tau of two seeds", tau(*pair).value, LEAST_REPEATED)
        for pair in itertools.combinations(scores, 2)
    ]
    end(text, *goals, Goal("seconds a candidate", query_s, MOST_QUERY_S, at_most=True))


if __name__ == "__main__":
    main()

"""Does a short training rank architectures, or noise?

Trains spread architectures with two seeds at each schedule asked for, and says how well the two rankings
agree (Kendall's tau-b of mAP). With --long, the same architectures are trained that long from a fresh head
with three seeds, and the mean is what each short schedule is compared with. Results go to --out, one line
each; the same command goes on where it was interrupted.

    python benchmarks/ranking.py --epochs 3,6 --out ranking.jsonl
"""

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from common import Results, make_parser, open_bench, spread, table
from scipy.stats import kendalltau

from mlflow_nas.export import OnnxDetector
from mlflow_nas.search import Workbench
from mlflow_nas.search.artefact import make_artefact
from mlflow_nas.train import evaluate_detector, fit
from mlflow_nas.types import Architecture

IDENTITY = ("data", "key", "start", "epochs", "seed")
LONG_SEEDS = 3


def train_once(bench: Workbench, architecture: Architecture) -> dict[str, float]:
    """Train, quantize and measure one architecture as a trial does, without its latency."""
    started = time.perf_counter()
    network, data = bench.build(architecture), bench.data(architecture)
    fitted = fit(network, data, epochs=bench.epochs, seed=bench.seed, recipe=bench.recipe, accelerator="cpu")
    folder = bench.folder / bench.space.key(architecture)
    int8 = make_artefact(network, architecture, bench=bench, folder=folder).shipped
    accuracy = evaluate_detector(OnnxDetector(int8), data.batches("val"))
    return {**fitted.metrics, **accuracy, "trial_s": time.perf_counter() - started}


def run(options: argparse.Namespace, results: Results, *, start: str, epochs: int, seeds: int) -> None:
    """Train what is not in the results yet."""
    for seed in range(seeds):
        bench = replace(open_bench(options, fresh_head=start == "fresh head", seed=seed), epochs=epochs)
        for architecture in spread(bench.space, options.architectures):
            key = bench.space.key(architecture)
            row = {"data": options.data, "key": key, "start": start, "epochs": epochs, "seed": seed}
            if not results.has(row):
                row |= {name: round(value, 4) for name, value in train_once(bench, architecture).items()}
                results.add(row)
                sys.stderr.write(f"{row}\n")


def column(
    results: Iterable[dict[str, object]], keys: Sequence[str], metric: str, **wanted: object
) -> list[float]:
    """One metric of all architectures, in the order of the keys."""
    rows = [row for row in results if all(row[name] == value for name, value in wanted.items())]
    found = {str(row["key"]): float(str(row[metric])) for row in rows}
    return [found[key] for key in keys]


def tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b (doi:10.1093/biomet/33.3.239)."""
    return float(kendalltau(first, second).statistic)


def report(options: argparse.Namespace, results: Results, keys: Sequence[str]) -> str:
    """What was measured, as Markdown."""
    rows: list[tuple[object, ...]] = []
    for epochs, metric in itertools.product(options.epochs, ("map", "map_50")):
        short = {"data": options.data, "start": "inherited", "epochs": epochs}
        first, second = (column(results, keys, metric, seed=seed, **short) for seed in range(2))
        seconds = [s for seed in range(2) for s in column(results, keys, "trial_s", seed=seed, **short)]
        gap = statistics.fmean(abs(one - other) for one, other in zip(first, second, strict=True))
        against = "not run"
        if options.long:
            slow = {"data": options.data, "start": "fresh head", "epochs": options.long}
            columns = [column(results, keys, metric, seed=seed, **slow) for seed in range(LONG_SEEDS)]
            against = f"{tau(first, [statistics.fmean(values) for values in zip(*columns, strict=True)]):.2f}"
        mean_s = statistics.fmean(seconds)
        rows.append((epochs, metric, f"{tau(first, second):.2f}", f"{gap:.4f}", against, f"{mean_s:.0f}"))
    head = ("epochs", "metric", "tau of two seeds", "mean gap", "tau against long", "s a trial")
    return table(head, rows)


def main() -> None:
    """Train, then print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", type=int, default=12)
    parser.add_argument("--epochs", type=lambda text: [int(part) for part in text.split(",")], default=[3])
    parser.add_argument("--long", type=int, default=0, help="epochs of the fresh-head training; 0 for none")
    parser.add_argument("--out", type=Path, default=Path("ranking.jsonl"))
    options = parser.parse_args()
    results = Results(options.out, IDENTITY)
    for epochs in options.epochs:
        run(options, results, start="inherited", epochs=epochs, seeds=2)
    if options.long:
        run(options, results, start="fresh head", epochs=options.long, seeds=LONG_SEEDS)
    space = open_bench(options).space
    keys = [space.key(architecture) for architecture in spread(space, options.architectures)]
    sys.stdout.write(report(options, results, keys))


if __name__ == "__main__":
    main()

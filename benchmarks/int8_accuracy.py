"""What quantization costs, in mAP and in milliseconds, by what is quantized and how.

Trains the baseline and spread architectures from the published detector, as a search does unless --epochs
says otherwise, quantizes each in each way, and measures the mAP of every file and its time in turn with the
float file on this machine. Results go to --out, one line each; the same command continues after an
interruption. Once per data set:

    python benchmarks/int8_accuracy.py --data voc:../shared/data/voc-persons/VOCdevkit
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common import Goal, Results, end, make_parser, open_study, scratch_folder, spread, table, train

from mlflow_nas.board import get_board
from mlflow_nas.config import find_device
from mlflow_nas.data import calibration_images
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import OUTPUT_BRANCHES
from mlflow_nas.tasks import evaluate_outputs
from mlflow_nas.trial import StudyContext
from mlflow_nas.types import Architecture

IDENTITY = ("data", "eval_augmentations", "key", "freeze", "rates", "distillation", "epochs", "choice")
FLOAT = "float"
SHIPS = "float outputs, averaged ranges (ships)"
MOST = 0.005
"""What the file that ships may lose, of each network."""
_OUTPUTS_IN_FLOAT = Quantization(float_modules=OUTPUT_BRANCHES)
# Name to what stays in float, and how many images the ranges are taken from.
CHOICES: dict[str, tuple[Quantization, int]] = {
    SHIPS: (_OUTPUTS_IN_FLOAT, 32),
    "128 images": (_OUTPUTS_IN_FLOAT, 128),
    "min-max ranges": (replace(_OUTPUTS_IN_FLOAT, method="min-max"), 32),
    "percentile ranges": (replace(_OUTPUTS_IN_FLOAT, method="percentile"), 32),
    "float head": (Quantization(float_modules=("head",)), 32),
    "float outputs and stem": (Quantization(float_modules=(*OUTPUT_BRANCHES, "backbone.conv1")), 32),
    "float tail": (Quantization(float_modules=()), 32),
    "float tail, min-max ranges": (Quantization(float_modules=(), method="min-max"), 32),
    "whole graph, min-max ranges": (
        Quantization(float_tail=False, float_modules=(), method="min-max"),
        32,
    ),
}


def training_of(options: argparse.Namespace) -> dict[str, object]:
    """What tells the measurements of one call from those of another in the same file."""
    return {
        "data": options.data,
        "eval_augmentations": options.eval_augmentations,
        "freeze": options.freeze,
        "rates": [options.learning_rate, options.unchanged_rate],
        "distillation": options.distillation,
        "epochs": options.epochs,
    }


def measure(context: StudyContext, architecture: Architecture) -> Iterator[tuple[str, float, float, float]]:
    """Choice, mAP, median milliseconds and ratio to the float file's, of one trained architecture."""
    network, data, _ = train(context, architecture)
    size, folder = context.input_size(architecture), scratch_folder() / context.space.key(architecture)
    folder.mkdir(parents=True, exist_ok=True)
    fp32 = export_onnx(network, folder / "float.onnx", img_size=size, metadata={})
    board = get_board(find_device("local"), threads=1)
    files = {FLOAT: fp32}
    for name, (choices, count) in CHOICES.items():
        images = calibration_images(context.train, img_size=size, count=count, seed=context.seed)
        path = folder / f"{len(files)}.onnx"
        files[name] = quantize_int8(fp32, path, calibration=images, choices=choices)
    for name, file in files.items():
        accuracy = evaluate_outputs(OnnxDetector(file), data.batches("val"))
        latency = board.measure(file, reference=fp32)
        yield name, accuracy["map"], latency.p50_ms, latency.ratio or 1.0


def open_own(options: argparse.Namespace) -> StudyContext:
    """The context with the options of this script."""
    own = {"epochs": options.epochs, "data.eval_augmentations": options.eval_augmentations}
    return open_study(options, **own, **{"training.freeze": options.freeze})


def run(options: argparse.Namespace, results: Results) -> list[str]:
    """Measure what is not in the results yet; the keys of all architectures."""
    context = open_own(options)
    keys = []
    for architecture in spread(context.space, options.architectures):
        keys.append(context.space.key(architecture))
        row = {**training_of(options), "key": keys[-1]}
        if all(results.has({**row, "choice": choice}) for choice in (FLOAT, *CHOICES)):
            continue
        for choice, map_, p50_ms, ratio in measure(context, architecture):
            if not results.has({**row, "choice": choice}):
                results.add({**row, "choice": choice, "map": map_, "latency_ms": p50_ms, "ratio": ratio})
    return keys


def report(options: argparse.Namespace, results: Results, keys: Sequence[str]) -> tuple[str, Goal]:
    """One row per choice: what it costs in mAP (mean, worst, baseline) and its time against float."""
    wanted = training_of(options)
    found = {
        (row["key"], row["choice"]): row
        for row in results
        if all(row.get(name) == value for name, value in wanted.items())
    }
    drops = {
        choice: [found[key, FLOAT]["map"] - found[key, choice]["map"] for key in keys]
        for choice in (FLOAT, *CHOICES)
    }
    rows = []
    for choice, lost in drops.items():
        own = [found[key, choice] for key in keys]
        figures = (own[0]["map"], lost[0], statistics.fmean(lost), max(lost))
        milliseconds, ratio = own[0]["latency_ms"], statistics.fmean(row["ratio"] for row in own)
        rows.append((choice, *(f"{value:.4f}" for value in figures), f"{milliseconds:.2f}", f"{ratio:.3f}"))
    head = ("choice", "baseline mAP", "its drop", "mean drop", "worst drop", "baseline ms", "time / float")
    worst = Goal("worst drop of what ships", max(drops[SHIPS]), MOST, at_most=True)
    return table(head, rows), worst


def main() -> None:
    """Measure, then print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--architectures", type=int, default=9, help="the baseline and spread ones")
    parser.add_argument("--freeze", choices=("auto", "none"), default="auto", help="as for search")
    parser.add_argument("--eval-augmentations", type=int, help="of each image; unset: those of a search")
    parser.add_argument("--epochs", type=int, help="of one training; unset: those of a search")
    parser.add_argument("--out", type=Path, default=Path("build/int8_accuracy.jsonl"))
    options = parser.parse_args()
    context = open_own(options)
    options.eval_augmentations, options.epochs = context.val.eval_augmentations, context.epochs
    results = Results(options.out, IDENTITY)
    keys = run(options, results)
    end(*report(options, results, keys))


if __name__ == "__main__":
    main()

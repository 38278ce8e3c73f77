"""What the demo gains: by the compiled file, by the search, and by the training of its finalists.

Compares, on one core in turn and on two splits, the published detector as its user has it (float, and as ONNX
Runtime's static quantization leaves it by default), the same weights as this project compiles them, and the
versions of a registered model. After a search with --reference (demo_reference.py writes the file):

    python benchmarks/demo.py --model penn-demo --test-fraction 0.4
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path

from artefact import Variant, ort_variant, time_in_turn
from common import Goal, end, given_detector, make_parser, open_study, scratch_folder, table
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.data import DetectionDataset, calibration_images, in_order
from mlflow_nas.export import Quantization, export_onnx, quantize_int8, quantize_plain
from mlflow_nas.runtime import OnnxDetector, class_indexes, read_metadata
from mlflow_nas.space import COCO_CLASSES, OUTPUT_BRANCHES
from mlflow_nas.tasks import DETECTION, evaluate_outputs, interval
from mlflow_nas.trial import StudyContext

FLOAT, PLAIN, COMPILED = "as given, float", "as given, ONNX Runtime's int8", "as given, compiled here"
SPEEDUP, AP50_DROP = 1.67, 0.01


def given_files(context: StudyContext) -> dict[str, Path]:
    """The published detector at its own size: float, plain int8, and as a trial's file is compiled."""
    given, folder = given_detector(context), scratch_folder()
    network, size = given.build(), given.img_size
    images = calibration_images(context.train, img_size=size, count=32, seed=context.seed)
    plain = export_onnx(network, folder / "float.onnx", img_size=size, metadata={}, passes=False)
    folded = export_onnx(network, folder / "folded.onnx", img_size=size, metadata={})
    choices = Quantization(float_modules=OUTPUT_BRANCHES)
    return {
        FLOAT: plain,
        PLAIN: quantize_plain(plain, folder / "plain-int8.onnx", calibration=images),
        COMPILED: quantize_int8(folded, folder / "int8.onnx", calibration=images, choices=choices),
    }


def registered_files(model: str) -> dict[str, Path]:
    """The file of each version, by the key of its architecture."""
    client, found = MlflowClient(), {}
    for version in client.search_model_versions(f"name='{model}'"):
        tags = client.get_run(str(version.run_id)).data.tags
        folder = Path(download_artifacts(f"models:/{model}/{version.version}"))
        found[f"{tags['nas.key']} ({tags['nas.role']})"] = next(folder.rglob("*.onnx"))
    return found


class Accuracy:
    """Of a file on a split: AP, AP50, and AP over draws of the images."""

    def __init__(self, file: Path, split: DetectionDataset) -> None:
        detector, record = OnnxDetector(file), scratch_folder() / f"{file.parent.name}-{file.stem}.npz"
        names, _ = read_metadata(detector.metadata, str(file))
        indexes = class_indexes(split.classes, names or COCO_CLASSES, str(file))
        batches = in_order(split, img_size=detector.img_size)
        found = evaluate_outputs(detector, batches, classes=indexes, record=record)
        self.ap, self.ap50 = found["map"], found["map_50"]
        self.draws = DETECTION.bootstrap(record, copies=split.eval_augmentations)

    def cells(self, reference: "Accuracy") -> tuple[str, str, str]:
        """AP50, AP, and the 95 % interval of the difference of AP."""
        low, high = interval(self.draws - reference.draws)
        return f"{self.ap50:.3f}", f"{self.ap:.3f}", f"{low:+.3f} to {high:+.3f}"


def goal(
    reference: str, accuracies: Mapping[str, Mapping[str, Accuracy]], ratios: Mapping[str, float]
) -> tuple[Goal, str]:
    """The speed-up of the fastest file that keeps a given file's AP50 on both splits, and its name."""

    def drop(name: str) -> float:
        return max(one.ap50 - accuracies[name][split].ap50 for split, one in accuracies[reference].items())

    best = min((name for name in ratios if drop(name) <= AP50_DROP), key=lambda name: ratios[name])
    name = f"speed / {reference}, AP50 at most {AP50_DROP:g} below on both splits"
    return Goal(name, ratios[reference] / ratios[best], SPEEDUP), best


def main() -> None:
    """Evaluate and time, then print the table and the goals."""
    parser = make_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", required=True, help="registered model of the search")
    parser.add_argument("--test-fraction", type=float, default=0.4, help="as the search's data.test_fraction")
    parser.add_argument("--loads", type=int, default=5, help="of each file")
    parser.add_argument("--runs", type=int, default=200, help="of each file, over all loads")
    parser.add_argument("--budget-s", type=float, default=30.0, help="of timed runs")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    context = open_study(options, **{"data.test_fraction": options.test_fraction})
    files = given_files(context) | registered_files(options.model)
    splits = {"val": context.val, **({"test": context.test} if context.test else {})}
    accuracies = {
        name: {split: Accuracy(file, data) for split, data in splits.items()} for name, file in files.items()
    }
    here = session_options(facts())["config_entries"]
    variants: list[Variant] = [
        ort_variant(file, {} if name in {FLOAT, PLAIN} else here) for name, file in files.items()
    ]
    times = dict(zip(files, time_in_turn(variants, options), strict=True))
    ratios = {name: ratio for name, (_, ratio) in times.items()}
    rows = []
    for name, (ms, ratio) in times.items():
        cells = [cell for split in splits for cell in accuracies[name][split].cells(accuracies[FLOAT][split])]
        rows.append((name, f"{ms:.2f}", f"{1 / ratio:.2f}", f"{ratios[PLAIN] / ratio:.2f}", *cells))
    measures = ("AP50", "AP", "AP's difference to the first")
    columns = [f"{one}, {split} ({len(data.records)})" for split, data in splits.items() for one in measures]
    found, reached = facts(), {one: goal(one, accuracies, ratios) for one in (PLAIN, FLOAT)}
    report = (
        table(("file", "ms", "speed / float", "speed / plain int8", *columns), rows)
        + "".join(f"Best beside {one}: {best}.\n" for one, (_, best) in reached.items())
        + f"{found.get('cpu', found['machine'])}, int8 instructions: "
        + f"{found.get('int8', 'none known')}; ONNX Runtime {found['onnxruntime']}; "
        + f"load before {found.get('load_1min', 'unknown')}.\n"
    )
    end(report, *(one for one, _ in reached.values()))


if __name__ == "__main__":
    main()

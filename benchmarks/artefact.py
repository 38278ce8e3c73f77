"""How fast is the file that ships, and what do other runtimes make of the same weights?

Exports the baseline, quantizes it as it ships and as it shipped before the graph passes, and times all files
in turn in this process on one core: the ratio of the median CPU times to the float file's, the median over
the loads. Measures the mAP of each file on the validation split. OpenVINO and ncnn (with pnnx) take part if
they can be imported. Once per data set:

    python benchmarks/artefact.py --data voc:../shared/data/voc-persons/VOCdevkit
"""

import argparse
import os
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from common import Goal, end, make_parser, open_study, scratch_folder, table
from torch import nn

from mlflow_nas.board.runtime.facts import facts
from mlflow_nas.board.runtime.inputs import image_input
from mlflow_nas.board.runtime.session import session_options
from mlflow_nas.board.runtime.timing import measure_loads
from mlflow_nas.data import calibration_images, in_order
from mlflow_nas.export import Quantization, export_onnx, quantize_int8
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import OUTPUT_BRANCHES
from mlflow_nas.tasks import evaluate_outputs
from mlflow_nas.trial import StudyContext

FLOAT, BEFORE, SHIPS = "float, as exported", "int8, as it shipped before", "int8, as it ships"
OF_FLOAT, OF_BEFORE, MAP_DROP = 0.67, 1.9, 0.003
PRECISION = {"session.x64quantprecision": "1"}
Run = Callable[[], Any]


class Variant(NamedTuple):
    """A file and how it is loaded; without a path only its time is measured."""

    load: Callable[[], Run]
    path: Path | None = None


def ort_variant(path: Path, entries: dict[str, str]) -> Variant:
    """A file in ONNX Runtime under session options."""

    def load() -> Run:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        for name, value in entries.items():
            options.add_session_config_entry(name, value)
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        taken = image_input(session)
        feed = taken.feed(np.random.default_rng(0).random((1, 3, *taken.size), dtype=np.float32))
        return lambda: session.run(None, feed)

    return Variant(load, path)


def openvino_variant(path: Path) -> Variant:
    """An int8 ONNX file in OpenVINO."""

    def load() -> Run:
        import openvino

        settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(str(path), "CPU", settings)
        image = np.random.default_rng(0).random(compiled.inputs[0].shape, dtype=np.float32)
        request = compiled.create_infer_request()
        return lambda: request.infer([image])

    return Variant(load)


def ncnn_variant(network: nn.Module, img_size: tuple[int, int], folder: Path) -> Variant:
    """The float network in ncnn, converted by pnnx."""
    import pnnx

    image = torch.rand(1, 3, *img_size)
    before = Path.cwd()
    os.chdir(folder)  # pnnx writes beside the current folder's files
    try:
        pnnx.export(network.eval(), "network.pt", (image,), fp16=False)
    finally:
        os.chdir(before)

    def load() -> Run:
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads = 1
        net.load_param(str(folder / "network.ncnn.param"))
        net.load_model(str(folder / "network.ncnn.bin"))
        taken = ncnn.Mat(image[0].numpy()).clone()

        def run() -> Any:
            extractor = net.create_extractor()
            extractor.input("in0", taken)
            return extractor.extract("out0")

        return run

    return Variant(load)


def variants_of(context: StudyContext) -> dict[str, Variant]:
    """The baseline's files, and other runtimes where they are installed."""
    size, folder = context.input_size(context.space.baseline), scratch_folder()
    network = context.build(context.space.baseline)
    images = calibration_images(context.train, img_size=size, count=32, seed=context.seed)
    plain = export_onnx(network, folder / "plain.onnx", img_size=size, metadata={}, passes=False)
    folded = export_onnx(network, folder / "folded.onnx", img_size=size, metadata={})
    decoding = export_onnx(network, folder / "decoding.onnx", img_size=size, metadata={}, boxes=True)

    def quantized(source: Path, **choices: Any) -> Path:
        path = folder / f"int8-{len(list(folder.iterdir()))}.onnx"
        return quantize_int8(
            source, path, calibration=images, choices=Quantization(float_modules=OUTPUT_BRANCHES, **choices)
        )

    here = session_options(facts())["config_entries"]
    before = quantized(plain, passes=False)
    floats = quantized(folded, input="float-nchw")
    found = {
        FLOAT: ort_variant(plain, {}),
        "float, shuffles folded": ort_variant(folded, {}),
        BEFORE: ort_variant(before, PRECISION),
        "the same without x64quantprecision": ort_variant(before, {}),
        "int8, all passes, float input": ort_variant(floats, here),
        SHIPS: ort_variant(quantized(folded), here),
        f"{SHIPS}, boxes decoded inside": ort_variant(quantized(decoding), here),
    }
    if find_spec("openvino"):
        found["OpenVINO, int8 as it shipped before"] = openvino_variant(before)
        found["OpenVINO, int8, all passes, float input"] = openvino_variant(floats)
    if find_spec("ncnn") and find_spec("pnnx"):
        found["ncnn, float"] = ncnn_variant(network, size, folder)
    return found


def time_in_turn(variants: Sequence[Variant], options: argparse.Namespace) -> list[tuple[float, float]]:
    """Median milliseconds and ratio to the first variant of each, of CPU time; the medians over the loads."""
    loads = measure_loads(
        lambda: [variant.load() for variant in variants],
        budget_s=options.budget_s,
        min_runs=options.runs,
        max_runs=options.runs,
        min_loads=options.loads,
        max_loads=options.loads,
    )
    medians = np.array([[statistics.median(times.cpu) for times in load] for load in loads])
    ratios = np.median(medians / medians[:, :1], axis=0)
    return list(zip(np.median(medians, axis=0).tolist(), ratios.tolist(), strict=True))


def main() -> None:
    """Export, evaluate and time, then print the table and the goals."""
    parser = make_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--loads", type=int, default=5, help="of each file")
    parser.add_argument("--runs", type=int, default=200, help="of each file, over all loads")
    parser.add_argument("--budget-s", type=float, default=30.0, help="of timed runs")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    context = open_study(options, **{"data.eval_augmentations": 1})
    variants = variants_of(context)
    size = context.input_size(context.space.baseline)
    accuracy = {
        name: evaluate_outputs(OnnxDetector(one.path), in_order(context.val, img_size=size))["map"]
        for name, one in variants.items()
        if one.path
    }
    times = dict(zip(variants, time_in_turn(list(variants.values()), options), strict=True))
    rows = [
        (name, f"{ms:.2f}", f"{ratio:.3f}", f"{accuracy[name]:.4f}" if name in accuracy else "")
        for name, (ms, ratio) in times.items()
    ]
    found = facts()
    report = (
        table(("variant", "ms", "time / float", "mAP"), rows)
        + f"{found.get('cpu', found['machine'])}, int8 instructions: {found.get('int8', 'none known')}; "
        + f"ONNX Runtime {found['onnxruntime']}; load before {found.get('load_1min', 'unknown')}.\n"
        + f"Repeat with: python {shlex.join(sys.argv)}\n"
    )
    end(
        report,
        Goal("time of what ships / float", times[SHIPS][1], OF_FLOAT, at_most=True),
        Goal("times faster than before", times[BEFORE][1] / times[SHIPS][1], OF_BEFORE),
        Goal("mAP lost since before", accuracy[BEFORE] - accuracy[SHIPS], MAP_DROP, at_most=True),
    )


if __name__ == "__main__":
    main()

"""The files of a trained network: float ONNX, and the int8 ONNX that ships."""

import json
from pathlib import Path
from typing import NamedTuple

from mlflow_nas.data import calibration_images
from mlflow_nas.export import check_parity, export_onnx, quantize_int8
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import FastestDet
from mlflow_nas.types import Architecture

__all__ = ["Artefact", "baseline_artefact", "make_artefact"]

CALIBRATION_IMAGES = 32
PARITY_IMAGES = 2
PARITY_ATOL = 5e-3
"""Largest difference of torch's and ONNX Runtime's float outputs; box terms reach about 10."""


class Artefact(NamedTuple):
    """The float and the int8 file of one network."""

    fp32: Path
    int8: Path


def make_artefact(
    network: FastestDet, architecture: Architecture, *, bench: Workbench, folder: Path
) -> Artefact:
    """Export a network, compare it with torch, quantize it.

    Raises:
        CandidateError: the network can't be exported or quantized, or the file disagrees with torch.
    """
    img_size = bench.input_size(architecture)
    images = calibration_images(bench.train, img_size=img_size, count=CALIBRATION_IMAGES, seed=bench.seed)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "mlflow_nas.architecture": json.dumps(dict(architecture)),
        "mlflow_nas.classes": json.dumps(list(bench.val.classes)),
        "mlflow_nas.key": bench.space.key(architecture),
        "mlflow_nas.precision": "fp32",
    }
    fp32 = export_onnx(network, folder / "model.onnx", img_size=img_size, metadata=metadata)
    check_parity(network, fp32, images[:PARITY_IMAGES], atol=PARITY_ATOL)
    return Artefact(fp32, quantize_int8(fp32, folder / "model.int8.onnx", calibration=images))


def baseline_artefact(bench: Workbench) -> Artefact:
    """The baseline network with its first weights, made once per study: the yardstick of latency."""
    folder = bench.folder / "yardstick"
    known = Artefact(folder / "model.onnx", folder / "model.int8.onnx")
    if known.int8.is_file():
        return known
    baseline = bench.space.baseline
    return make_artefact(bench.build(baseline), baseline, bench=bench, folder=folder)

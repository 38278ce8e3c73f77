"""The files of a trained network: float ONNX, and the int8 ONNX that ships unless told otherwise."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from mlflow_nas.data import calibration_images
from mlflow_nas.export import check_parity, export_onnx, quantize_int8
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.space import FastestDet
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Artefact", "baseline_artefact", "make_artefact", "shipped_file"]

FP32_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
CALIBRATION_IMAGES = 32
PARITY_IMAGES = 2
_DIGEST_CHARACTERS = 8
PARITY_ATOL = 5e-3
"""Largest difference of torch's and ONNX Runtime's float outputs; box terms reach about 10."""


class Artefact(NamedTuple):
    """The float and the int8 file of one network; without the latter the float file ships."""

    fp32: Path
    int8: Path | None

    @property
    def shipped(self) -> Path:
        """The file that is measured: the int8 one where there is one."""
        return self.int8 or self.fp32

    @property
    def files(self) -> dict[str, Path]:
        """Role to path."""
        return {"fp32": self.fp32} | ({"int8": self.int8} if self.int8 else {})


def make_artefact(
    network: FastestDet, architecture: Architecture, *, bench: Workbench, folder: Path
) -> Artefact:
    """Export a network, compare it with torch, quantize it unless the study is one of float files.

    Raises:
        CandidateError: the network can't be exported or quantized, or the file disagrees with torch.
    """
    img_size = bench.input_size(architecture)
    images = calibration_images(bench.train, img_size=img_size, count=CALIBRATION_IMAGES, seed=bench.seed)
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "mlflow_nas.architecture": json.dumps(dict(architecture)),
        "mlflow_nas.classes": json.dumps(list(bench.val.classes)),
        "mlflow_nas.val_views": json.dumps(bench.val.views),
        "mlflow_nas.key": bench.space.key(architecture),
        "mlflow_nas.precision": "fp32",
    }
    fp32 = export_onnx(network, folder / FP32_FILE, img_size=img_size, metadata=metadata)
    check_parity(network, fp32, images[:PARITY_IMAGES], atol=PARITY_ATOL)
    if bench.precision == "fp32":
        return Artefact(fp32, None)
    return Artefact(fp32, quantize_int8(fp32, folder / INT8_FILE, calibration=images))


def baseline_artefact(bench: Workbench) -> Artefact:
    """The baseline with its first weights, made once per network, data set and size: latency's yardstick."""
    height, width = bench.input_size(bench.space.baseline)
    network = str(bench.space.build(bench.space.baseline, len(bench.val.classes)))
    digest = hashlib.sha256(network.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    name = f"{bench.space.name}-{digest}-{bench.dataset_tag.replace('@', '-')}-{height}x{width}"
    folder = bench.folder / "yardstick" / name
    known = Artefact(folder / FP32_FILE, None if bench.precision == "fp32" else folder / INT8_FILE)
    if known.shipped.is_file():
        return known
    baseline = bench.space.baseline
    return make_artefact(bench.build(baseline), baseline, bench=bench, folder=folder)


def shipped_file(evaluation: Evaluation, bench: Workbench) -> Path:
    """Where the file that a trial measured lies on this machine."""
    return bench.folder / evaluation.key / (FP32_FILE if bench.precision == "fp32" else INT8_FILE)

"""The steps `export` and `quantize`: their inputs and their work."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow_nas.export import Quantization, export_onnx
from mlflow_nas.runtime import check_parity
from mlflow_nas.tasks import to_boxes
from mlflow_nas.trial.candidate import CALIBRATION_IMAGES, FP32_FILE, INT8_FILE, Candidate

__all__ = ["export", "export_inputs", "quantization_choices", "quantization_inputs", "quantize"]

PARITY_IMAGES = 2
PARITY_ATOL = 5e-3
"""Largest difference of torch's and ONNX Runtime's float outputs; box terms reach about 10."""


def export_inputs(candidate: Candidate) -> Mapping[str, object]:
    """Inputs of `export`: network, weights, input size, metadata of the file."""
    return {
        "network": candidate.identity,
        "weights": candidate.trained_digest,
        "img_size": candidate.img_size,
        "metadata": _metadata(candidate),
        "output": candidate.context.file_output,
        "onnx": version("onnx"),
    }


def _metadata(candidate: Candidate) -> dict[str, str]:
    val = candidate.context.val
    return {
        "mlflow_nas.architecture": json.dumps(dict(candidate.architecture)),
        "mlflow_nas.classes": json.dumps(list(candidate.classes)),
        "mlflow_nas.eval_augmentations": json.dumps(val.eval_augmentations),
        "mlflow_nas.key": candidate.key,
    }


def export(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Write the float ONNX file and compare it with torch."""
    network = candidate.final_network
    fp32 = export_onnx(
        network,
        folder / FP32_FILE,
        img_size=candidate.img_size,
        metadata=_metadata(candidate),
        output=candidate.context.task.output,
        boxes=(boxes := candidate.context.file_output == "boxes"),
    )
    images, decode = candidate.calibration[:PARITY_IMAGES], to_boxes if boxes else None
    difference = check_parity(network, fp32, images, atol=PARITY_ATOL, decode=decode)
    return {"parity": difference}


def quantization_inputs(candidate: Candidate) -> Mapping[str, object]:
    """Inputs of `quantize`: float file, calibration images, input of the file."""
    context = candidate.context
    return {
        "fp32": candidate.entries["export"].digests[FP32_FILE],
        "calibration": [context.train.digest, context.seed, CALIBRATION_IMAGES, candidate.img_size],
        "input": context.int8_input,
        "float_modules": context.space.float_modules,
        "runtime": dict(context.runtime.identity()),
    }


def quantize(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Write the runtime's int8 file, calibrated on training images."""
    runtime, target = candidate.context.runtime, folder / candidate.named(INT8_FILE)
    runtime.compile(
        candidate.fp32_file,
        target,
        calibration=candidate.calibration,
        choices=quantization_choices(candidate),
    )
    return {"metrics": runtime.placement(target).metrics}


def quantization_choices(candidate: Candidate) -> Quantization:
    """Options of the shipped file."""
    context = candidate.context
    return Quantization(input=context.int8_input, float_modules=context.space.float_modules)

"""The steps that measure an ONNX file as it was given, and the plain int8 file of one in float."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mlflow_nas.export import copy_of_size, quantize_plain
from mlflow_nas.trial.cache import Entry
from mlflow_nas.trial.candidate import (
    CALIBRATION_IMAGES,
    DETECTIONS_FILE,
    FP32_FILE,
    INT8_FILE,
    Candidate,
    Step,
)
from mlflow_nas.trial.given_candidate import GivenCandidate
from mlflow_nas.trial.given_file import GivenFile
from mlflow_nas.trial.measurement import evaluate_file

__all__ = ["FILE_STEPS", "GivenFileCandidate", "time_float", "time_float_inputs"]

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, eq=False)
class GivenFileCandidate(GivenCandidate):
    """A file as it was given: nothing is built or trained."""

    @property
    def file(self) -> GivenFile:
        """Of the study."""
        if not isinstance(self.context.given, GivenFile):
            raise TypeError("the study has no given file")
        return self.context.given

    @property
    def fp32_file(self) -> Path:
        """The float file; of a quantized file itself."""
        return super().fp32_file if "export" in self.entries else self.shipped_file

    def run(self, step: Step) -> Entry:
        """Run a step; an int8 file that loses too much is left out, so that the float file is measured."""
        entry = super().run(step)
        if entry.values.get("keeps_float"):
            del self.entries["quantize"]
        return entry


def _given(candidate: Candidate) -> GivenFile:
    if not isinstance(candidate, GivenFileCandidate):
        raise TypeError(f"{candidate.key} is no file")
    return candidate.file


def _copy_inputs(candidate: Candidate) -> Mapping[str, object]:
    return {"file": _given(candidate).digest, "onnx": version("onnx")}


def _copy(name: str) -> Callable[[Candidate, Path], Mapping[str, Any]]:
    """Copies the file under a name, its open sizes fixed."""

    def run(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
        copy_of_size(_given(candidate).path, folder / candidate.named(name), candidate.img_size)
        return {}

    return run


def _quantize_inputs(candidate: Candidate) -> Mapping[str, object]:
    context = candidate.context
    return {
        "plain": candidate.entries["export"].digests[FP32_FILE],
        "calibration": [context.train.digest, context.seed, CALIBRATION_IMAGES, candidate.img_size],
        "onnxruntime": version("onnxruntime"),
    }


def _quantize(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    quantize_plain(
        candidate.fp32_file, folder / candidate.named(INT8_FILE), calibration=candidate.calibration
    )
    return {}


def _evaluation_inputs(candidate: Candidate) -> Mapping[str, object]:
    return {
        "files": [entry.digests for name, entry in candidate.entries.items() if name in _FILES],
        "val": candidate.context.val.digest,
        "img_size": candidate.img_size,
        "classes": candidate.class_indexes,
        "max_int8_drop": candidate.context.max_int8_drop,
        "onnxruntime": version("onnxruntime"),
    }


def _evaluate(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Accuracy of the file and of its plain int8 file, which is kept where it loses little enough."""
    if "quantize" not in candidate.entries or "export" not in candidate.entries:
        return {"metrics": evaluate_file(candidate, candidate.shipped_file, folder)}
    task, bound = candidate.context.task, candidate.context.max_int8_drop
    shipped = evaluate_file(candidate, candidate.shipped_file, folder)
    record = (folder / DETECTIONS_FILE).read_bytes()
    floats = evaluate_file(candidate, candidate.fp32_file, folder)
    in_float = {f"{name}_fp32": floats[name] for name in task.metrics}
    lost = floats[task.metrics[0]] - shipped[task.metrics[0]]
    if lost > bound:
        _log.warning(
            "ONNX Runtime's static quantization of %s costs %.3f, more than quantization.max_drop=%g: the "
            "float file is the reference.",
            _given(candidate).path,
            lost,
            bound,
        )
        return {"metrics": {**floats, **in_float}, "keeps_float": True}
    (folder / DETECTIONS_FILE).write_bytes(record)
    return {"metrics": {**shipped, **in_float}}


def _quantizes(candidate: Candidate) -> bool:
    return candidate.context.precision == "int8" and not _given(candidate).is_quantized


def time_float_inputs(candidate: Candidate, reference: Candidate) -> Mapping[str, object]:
    """Inputs of `time_float`: file, reference model, board with its protocol."""
    return {
        "float": candidate.entries["export"].digests[FP32_FILE],
        "reference": reference.shipped_digest,
        "board": candidate.context.board.identity(),
    }


def time_float(candidate: Candidate, reference: Candidate) -> Mapping[str, Any]:
    """Time the float file in turn with the reference model.

    Raises:
        CandidateError: the board refuses the file; BoardError: the board failed.
    """
    board = candidate.context.board
    ratio = board.measure(candidate.fp32_file, reference=reference.shipped_file).ratio
    return {"metrics": {} if ratio is None else {"latency_ratio_fp32": ratio}}


_FILES = ("export", "quantize")

FILE_STEPS = (
    Step(
        name="export",
        run=_copy(FP32_FILE),
        inputs=_copy_inputs,
        outputs={"fp32": FP32_FILE},
        applies=lambda one: not _given(one).is_quantized,
    ),
    Step(
        name="quantize",
        run=_copy(INT8_FILE),
        inputs=_copy_inputs,
        outputs={"int8": INT8_FILE},
        applies=lambda one: _given(one).is_quantized,
    ),
    Step(
        name="quantize",
        run=_quantize,
        inputs=_quantize_inputs,
        outputs={"int8": INT8_FILE},
        applies=_quantizes,
    ),
    Step(
        name="evaluate",
        run=_evaluate,
        inputs=_evaluation_inputs,
        outputs={"detections": DETECTIONS_FILE},
    ),
)
"""Until the file is timed: copied, quantized where it is in float, evaluated."""

"""The step `repair`: an int8 file that keeps the accuracy where plain quantization loses too much of it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_nas.export import repairs
from mlflow_nas.trial.agreement import lost_by_int8
from mlflow_nas.trial.candidate import FP32_FILE, INT8_FILE, Candidate
from mlflow_nas.trial.files import quantization_choices, quantization_inputs
from mlflow_nas.trial.measurement import evaluate_file, evaluation_inputs

__all__ = ["needs_repair", "repair", "repair_inputs"]

_log = logging.getLogger(__name__)


def needs_repair(candidate: Candidate) -> bool:
    """Whether the int8 file is less accurate than the float network by more than is allowed."""
    if not {"quantize", "evaluate"} <= candidate.entries.keys():
        return False
    objective = candidate.context.task.metrics[0]
    lost = candidate.metrics[f"{objective}_fp32"] - candidate.metrics[objective]
    return lost > candidate.max_int8_drop


def repair_inputs(candidate: Candidate) -> Mapping[str, object]:
    """Inputs of `repair`: those of `quantize` and `evaluate`, and what is allowed."""
    return {
        "quantize": dict(quantization_inputs(candidate)),
        "evaluate": dict(evaluation_inputs(candidate)),
        "max_int8_drop": candidate.max_int8_drop,
    }


def repair(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Correct the biases, then leave the worst layers in float, until the accuracy is kept.

    What layers in float cost in latency is measured, and limited, as for every file.

    Raises:
        CandidateError: no repair keeps it, or the runtime's files have none; the sentence has the figures.
    """
    objective = candidate.context.task.metrics[0]
    fp32, best = candidate.metrics[f"{objective}_fp32"], candidate.metrics[objective]
    runtime = candidate.context.runtime
    if not candidate.context.runs_onnx:
        unrepaired = f"which is not repaired for the runtime {runtime.name}"
        raise lost_by_int8(fp32=fp32, int8=best, max_drop=candidate.max_int8_drop, repairs=unrepaired)
    made = repairs(
        candidate.entries["export"].file(FP32_FILE),
        folder,
        calibration=candidate.calibration,
        choices=quantization_choices(candidate),
    )
    for one in made:
        accuracy = evaluate_file(candidate, one.path, folder)
        best = max(best, accuracy[objective])
        if fp32 - accuracy[objective] <= candidate.max_int8_drop:
            one.path.rename(folder / candidate.named(INT8_FILE))
            _log.warning(
                "%s: plain int8 has %s %.3f, repaired %.3f (%.3f in float), with %d layers left in float.",
                candidate.key,
                objective,
                candidate.metrics[objective],
                accuracy[objective],
                fp32,
                len(one.in_float),
            )
            return {"metrics": {**accuracy, "float_layers": len(one.in_float)}, "in_float": one.in_float}
        one.path.unlink()
    raise lost_by_int8(fp32=fp32, int8=best, max_drop=candidate.max_int8_drop)

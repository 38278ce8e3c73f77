"""The steps `evaluate` and `measure`: their inputs and their work."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlflow_nas.tasks import evaluate_network, evaluate_outputs
from mlflow_nas.trial.agreement import check_board_outputs
from mlflow_nas.trial.candidate import DETECTIONS_FILE, Candidate

__all__ = ["evaluate", "evaluate_file", "evaluation_inputs", "measure", "measurement_inputs"]

_log = logging.getLogger(__name__)

BOARD_IMAGES = 2
"""Images of the validation split on which the board's outputs are compared with the host's."""


def evaluation_inputs(candidate: Candidate) -> Mapping[str, object]:
    """Inputs of `evaluate`: files, validation images."""
    return {
        "shipped": candidate.shipped_digest,
        "weights": candidate.trained_digest,
        "val": candidate.context.val.digest,
        "img_size": candidate.img_size,
        "classes": candidate.class_indexes,
        "runtime": dict(candidate.context.runtime.identity()),
    }


def evaluate(candidate: Candidate, folder: Path) -> Mapping[str, Any]:
    """Accuracy of the float network, and of the file that ships, whose outputs are kept."""
    task, classes = candidate.context.task, candidate.class_indexes
    fp32 = evaluate_network(candidate.final_network, candidate.data, task=task, classes=classes)
    return {"metrics": {**evaluate_file(candidate, candidate.shipped_file, folder), **fp32}}


def evaluate_file(candidate: Candidate, file: Path, folder: Path) -> dict[str, float]:
    """Accuracy of a candidate's file on val; its outputs are kept in the folder."""
    return evaluate_outputs(
        candidate.context.runtime.run(file),
        candidate.data.batches("val"),
        task=candidate.context.task,
        names=candidate.context.val.classes,
        classes=candidate.class_indexes,
        record=folder / DETECTIONS_FILE,
    )


def measurement_inputs(candidate: Candidate, reference: Candidate) -> Mapping[str, object]:
    """Inputs of `measure`: file, reference model, board with its protocol."""
    context = candidate.context
    return {
        "shipped": candidate.shipped_digest,
        "reference": reference.shipped_digest,
        "board": context.board.identity(),
        "images": context.val.digest if candidate.is_trained else None,
    }


def measure(candidate: Candidate, reference: Candidate) -> Mapping[str, Any]:
    """Compare the board's outputs with the host's, then time the file in turn with the reference model.

    An unstable latency is not cached.

    Raises:
        CandidateError: the board refuses the file, or its outputs differ; BoardError: the board failed.
    """
    context, shipped = candidate.context, candidate.shipped_file
    metrics = {"model_size_bytes": float(shipped.stat().st_size)}
    if candidate.is_trained:
        metrics["board_drift"] = check_board_outputs(
            context.board,
            runtime=context.runtime,
            shipped=shipped,
            fp32=candidate.fp32_file,
            images=candidate.val_images(BOARD_IMAGES),
        )
    latency = context.runtime.time(shipped, context.board, reference=reference.shipped_file)
    if latency.unstable:
        _log.warning(
            "The latency of %s on %s is unstable: %s. Free the board of other work, then rerun the command.",
            candidate.key,
            latency.board,
            latency.unstable_cause,
        )
    return {"metrics": metrics, "latency": asdict(latency), "keep": not latency.unstable}

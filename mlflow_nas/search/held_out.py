"""Accuracy on the test split, which decides nothing."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlflow_nas.data import DetectionDataset, in_order
from mlflow_nas.report import front_of
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.search.session import Session
from mlflow_nas.tasks import evaluate_outputs
from mlflow_nas.trial import StudyContext, file_digest, fingerprint
from mlflow_nas.types import TrialResult

__all__ = ["tested", "with_test_metrics"]

_log = logging.getLogger(__name__)


def with_test_metrics(session: Session, results: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials, with `test_*` metrics of the front and the baseline; as they are without a test split."""
    chosen = {one.number for one in front_of(results, session.context.objectives)}
    found = [
        tested(session, one) if one.number in chosen or one.role == "baseline" else one for one in results
    ]
    for before, after in zip(results, found, strict=True):
        if after is not before:
            added = {name: value for name, value in after.metrics.items() if name not in before.metrics}
            session.store.add_metrics(int(after.number or 0), added)
    return found


def tested(session: Session, result: TrialResult) -> TrialResult:
    """A result with `test_*` metrics of its file, once per file; its run gets them too."""
    context = session.context
    shipped = result.artefacts.get("int8") or result.artefacts.get("fp32")
    known = f"test_{context.task.metrics[0]}" in result.metrics
    if context.test is None or known or result.state != "complete" or shipped is None:
        return result
    if not shipped.is_file():
        _log.warning("%s is not on this machine: %s has no test metrics.", shipped, result.key)
        return result
    metrics = _measure(context, shipped, context.test, is_given=result.role == "reference")
    session.mirror.log_metrics(session.run_of(result), metrics)
    return replace(result, metrics={**result.metrics, **metrics})


def _measure(
    context: StudyContext, file: Path, test: DetectionDataset, *, is_given: bool
) -> dict[str, float]:
    classes = context.given.class_indexes if context.given and is_given else None

    def evaluate(_folder: Path) -> Mapping[str, Any]:
        detector = OnnxDetector(file)
        batches = in_order(test, img_size=detector.img_size)
        found = evaluate_outputs(detector, batches, task=context.task, names=test.classes, classes=classes)
        return {"metrics": {f"test_{name}": value for name, value in found.items()}}

    key = fingerprint(file=file_digest(file), test=test.digest, classes=classes)
    metrics: dict[str, float] = context.cache.make("test", key, evaluate).values["metrics"]
    return metrics

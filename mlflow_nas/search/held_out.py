"""The test split: measured once, at the end, for the front and the baseline; it decides nothing."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from mlflow_nas.data import DetectionDataset, in_order
from mlflow_nas.export import OnnxDetector
from mlflow_nas.report import front_of
from mlflow_nas.search.artefact import shipped_file
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.train import evaluate_detector
from mlflow_nas.types import Evaluation

__all__ = ["measure_test"]

_log = logging.getLogger(__name__)
_MEASURED = "test_map"


def measure_test(evaluations: Sequence[Evaluation], *, bench: Workbench, book: StudyBook) -> list[Evaluation]:
    """The evaluations, with `test_map` and `test_map_50` of the front and the baseline.

    What an earlier call has measured is left as it is.

    Raises:
        RegistryError: MLflow does not answer.
    """
    if bench.test is None:
        return list(evaluations)
    chosen = {evaluation.number for evaluation in front_of(evaluations)}
    chosen |= {e.number for e in evaluations if e.key == bench.space.key(bench.space.baseline)}
    return [
        _measured(evaluation, bench.test, bench, book) if evaluation.number in chosen else evaluation
        for evaluation in evaluations
    ]


def _measured(
    evaluation: Evaluation, test: DetectionDataset, bench: Workbench, book: StudyBook
) -> Evaluation:
    file = shipped_file(evaluation, bench)
    if _MEASURED in evaluation.metrics or "map" not in evaluation.metrics:
        return evaluation
    if not file.is_file():
        _log.warning("%s is not on this machine: trial %d stays untested.", file, evaluation.number)
        return evaluation
    detector = OnnxDetector(file)
    accuracy = evaluate_detector(detector, in_order(test, img_size=detector.img_size))
    metrics = {f"test_{name}": value for name, value in accuracy.items()}
    book.add_metrics(str(evaluation.run_id), metrics)
    return replace(evaluation, metrics={**evaluation.metrics, **metrics})

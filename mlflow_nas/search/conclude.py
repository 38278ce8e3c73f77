"""What a study leaves in MLflow: models of the front, figures, tables, registered versions."""

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlflow_nas.data import resize_to_bytes
from mlflow_nas.export import GOLDEN_FILE, OnnxDetector, model_sha256, write_golden
from mlflow_nas.registry import Reconciliation, reconcile, register_model
from mlflow_nas.report import (
    draw_boxes,
    front_of,
    pareto_html,
    pareto_png,
    speed_warning,
    study_description,
    table_columns,
)
from mlflow_nas.search.artefact import shipped_file
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.held_out import measure_test
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.tracking import describe, log_file, log_int8_model, log_table
from mlflow_nas.train import predict_boxes
from mlflow_nas.types import Evaluation

__all__ = ["Conclusion", "conclude", "publish"]

_log = logging.getLogger(__name__)

PICTURES = 3
GOLDEN_IMAGES = 3


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The end of a study.

    Attributes:
        evaluations: all of them; the front and the baseline with what the test split says, if there is one.
        front: fastest first.
        registry: after it; None without a front, and for float files, which are for comparison.
    """

    evaluations: tuple[Evaluation, ...]

    front: tuple[Evaluation, ...]
    registry: Reconciliation | None


def publish(evaluation: Evaluation, *, bench: Workbench, book: StudyBook) -> str:
    """Log a trial's int8 file as an MLflow model, with golden samples and a picture; once per file.

    Returns:
        The logged model's id.
    """
    file = shipped_file(evaluation, bench)
    with tempfile.TemporaryDirectory() as folder:
        logged = log_int8_model(
            book.client,
            str(evaluation.run_id),
            file,
            key=evaluation.key,
            img_size=bench.input_size(evaluation.architecture),
            classes=bench.val.classes,
            metrics=_validation_metrics(evaluation),
            dataset=bench.val,
            golden=_golden(file, bench, Path(folder) / GOLDEN_FILE),
        )
        log_file(book.client, str(evaluation.run_id), _picture(file, bench, Path(folder) / "detections.png"))
    return logged.model_id


def _validation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Without those of the test split, which are no measurements of the validation data."""
    return {name: value for name, value in evaluation.metrics.items() if not name.startswith("test_")}


def _golden(file: Path, bench: Workbench, path: Path) -> Path:
    """The first validation images at the file's input size, and what it answers to them here."""
    img_size = OnnxDetector(file).img_size
    count = min(GOLDEN_IMAGES, len(bench.val))
    images = [resize_to_bytes(bench.val[index].image, img_size).numpy() for index in range(count)]
    return write_golden(path, file, np.stack(images), fp32=file.with_name("model.onnx"))


def _picture(file: Path, bench: Workbench, path: Path) -> Path:
    detector = OnnxDetector(file)
    pictures = []
    for index in range(min(PICTURES, len(bench.val))):
        image = bench.val[index].image
        found = predict_boxes(detector, image, img_size=detector.img_size)
        words = [
            f"{bench.val.classes[label]} {score:.2f}"
            for label, score in zip(found.labels.tolist(), found.scores.tolist(), strict=True)
        ]
        pictures.append((image, found.boxes.numpy(), words))
    return draw_boxes(pictures, path)


def conclude(
    evaluations: Sequence[Evaluation],
    *,
    bench: Workbench,
    book: StudyBook,
    model: str,
    max_map_drop: float,
    settings: Mapping[str, object],
) -> Conclusion:
    """Measure the test split, report on the study's run, register the front, reconcile the registry.

    Raises:
        RegistryError: MLflow does not answer; the same command finishes the work later.
    """
    if warning := speed_warning(evaluations):
        _log.warning("%s", warning)
    evaluations = measure_test(evaluations, bench=bench, book=book)
    _report(evaluations, book, settings)
    front = front_of(evaluations)
    if not front or bench.precision != "int8":
        return Conclusion(tuple(evaluations), tuple(front), None)
    baseline_key = bench.space.key(bench.space.baseline)
    baseline = next((e for e in evaluations if e.key == baseline_key and "map" in e.metrics), None)
    for evaluation in front:
        register_model(
            book.client,
            model,
            run_id=str(evaluation.run_id),
            model_id=publish(evaluation, bench=bench, book=book),
            tags=_version_tags(evaluation, baseline, shipped_file(evaluation, bench), book),
        )
    registry = reconcile(book.client, model, max_map_drop=max_map_drop)
    return Conclusion(tuple(evaluations), tuple(front), registry)


def _version_tags(
    evaluation: Evaluation, baseline: Evaluation | None, file: Path, book: StudyBook
) -> dict[str, str]:
    tags = {
        **book.tags,
        "nas.study": book.study,
        "nas.trial": str(evaluation.number),
        "nas.key": evaluation.key,
        "nas.sha256": model_sha256(file),
    }
    measured = {
        name: evaluation.metrics.get(name) for name in ("map", "map_50", "latency_ms", "latency_ratio")
    }
    tags |= {name: repr(value) for name, value in measured.items() if value is not None}
    if evaluation.latency_unstable:
        tags["nas.latency_unstable"] = "true"
    if baseline:
        tags["nas.baseline_map"] = repr(baseline.metrics["map"])
    return tags


def _report(evaluations: Sequence[Evaluation], book: StudyBook, settings: Mapping[str, object]) -> None:
    columns = table_columns(evaluations)
    rows = list(zip(*columns.values(), strict=True))
    log_table(book.client, book.parent_id, list(columns), rows, "trials.json")
    with tempfile.TemporaryDirectory() as folder:
        log_file(book.client, book.parent_id, pareto_png(evaluations, Path(folder) / "pareto.png"))
        log_file(book.client, book.parent_id, pareto_html(evaluations, Path(folder) / "pareto.html"))
    note = study_description(evaluations, experiment_id=book.experiment_id, settings=settings)
    describe(book.client, book.parent_id, note)

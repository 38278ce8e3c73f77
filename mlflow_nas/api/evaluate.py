"""`mlflow_nas evaluate`: how right one detector is on one split."""

import tempfile
import time
from pathlib import Path

from mlflow_nas.config import EvaluateConfig, load_config, take_project_run_id

__all__ = ["evaluate"]


def evaluate(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Measure the mAP of a state dict, an MLflow model or an ONNX file, float or int8.

    In a run that `mlflow run` made, the measurement is logged.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.EvaluateConfig`.

    Returns:
        map, map_50, images, boxes (those to be found and those to be ignored), ignored, skipped (images that
        can't be used), views (as how many views each photograph is among the images), classes, detector,
        precision, img_size (height, width), data, split, dataset (its digest), seconds.

    Raises:
        ConfigError: an option, data or a file; RegistryError: there is no such model.
    """
    chosen = load_config(EvaluateConfig, options, file=config)
    from mlflow_nas.api.detectors import load_split, open_detector
    from mlflow_nas.data import in_order
    from mlflow_nas.train import evaluate_detector

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        opened = open_detector(chosen, folder=Path(folder))
        dataset = load_split(chosen, val_views=opened.val_views)
        batches = in_order(dataset, img_size=opened.img_size)
        accuracy = evaluate_detector(opened.detector, batches, classes=opened.indexes)
    tags = {"nas.split": chosen.split, "nas.split_digest": dataset.digest}
    _log_to_project_run(accuracy, tags)
    return {
        **accuracy,
        "images": len(dataset),
        "boxes": sum(len(record.boxes) for record in dataset.records),
        "skipped": len(dataset.skipped),
        "ignored": sum(int(record.ignore.sum()) for record in dataset.records),
        "views": dataset.views,
        "classes": list(dataset.classes),
        "detector": opened.source,
        "precision": opened.precision,
        "img_size": list(opened.img_size),
        "data": chosen.data,
        "split": chosen.split,
        "dataset": dataset.digest,
        "seconds": round(time.perf_counter() - start, 3),
    }


def _log_to_project_run(accuracy: dict[str, float], tags: dict[str, str]) -> None:
    run_id = take_project_run_id()
    if run_id:
        from mlflow_nas.tracking import connect, default_uri, log_measurement

        log_measurement(connect(default_uri()), run_id, accuracy, tags)

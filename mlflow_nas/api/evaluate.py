"""`mlflow_nas evaluate`: accuracy of one model on one split."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlflow_nas.api.results import EvaluateResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import EvaluateConfig, take_project_run_id

__all__ = ["evaluate"]


def evaluate(
    settings: EvaluateConfig | None = None,
    /,
    *,
    config: Path | str | None = None,
    on_step: Callable[[str], None] = lambda _step: None,
    **options: object,
) -> EvaluateResult:
    """Measure the accuracy of a state dict, an MLflow model or an ONNX file, float or int8.

    In a run that `mlflow run` made, the measurement is logged.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        on_step: called with the name of each step.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, data or a file.
        RegistryError: there is no such model, or MLflow does not answer.
    """
    chosen = read_settings(EvaluateConfig, settings, options, config)
    from mlflow_nas.api.detectors import load_split, open_detector
    from mlflow_nas.data import in_order
    from mlflow_nas.tasks import check_truth, evaluate_outputs

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        on_step("open the model")
        loaded = open_detector(chosen, folder=Path(folder))
        on_step(f"read {chosen.split} of {chosen.data.uri}")
        dataset = load_split(chosen, eval_augmentations=loaded.eval_augmentations)
        check_truth(loaded.task, dataset)
        on_step(f"evaluate on {len(dataset)} images")
        batches = in_order(dataset, img_size=loaded.img_size)
        metrics = evaluate_outputs(
            loaded.detector, batches, task=loaded.task, names=dataset.classes, classes=loaded.indexes
        )
    _log_to_project_run(metrics, {"nas.split": chosen.split, "nas.split_digest": dataset.digest})
    return EvaluateResult(
        metrics=metrics,
        images=len(dataset),
        boxes=sum(len(record.boxes) for record in dataset.records),
        ignored=sum(int(record.ignore.sum()) for record in dataset.records),
        skipped=len(dataset.skipped),
        eval_augmentations=dataset.eval_augmentations,
        classes=tuple(dataset.classes),
        detector=loaded.source,
        precision=loaded.precision,
        img_size=loaded.img_size,
        data=chosen.data.uri,
        split=chosen.split,
        dataset=dataset.digest,
        seconds=round(time.perf_counter() - start, 3),
    )


def _log_to_project_run(metrics: dict[str, float], tags: dict[str, str]) -> None:
    run_id = take_project_run_id()
    if run_id:
        from mlflow_nas.tracking import connect, default_uri, log_measurement

        log_measurement(connect(default_uri()), run_id, metrics, tags)

"""`mlflow_nas register`: any ONNX model as a version, measured as a search measures its own."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.registry_results import RegisterResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import EvaluateConfig, RegisterConfig, find_onnx_device, take_project_run_id

if TYPE_CHECKING:
    from mlflow_nas.api.detectors import LoadedDetector
    from mlflow_nas.data import DetectionDataset
    from mlflow_nas.registry import RegisteredReference
    from mlflow_nas.tracking import Client

__all__ = ["register"]

_GOLDEN_IMAGES = 4


def register(
    settings: RegisterConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> RegisterResult:
    """Measure accuracy and latency of an ONNX file, register it as it is, and promote.

    The latency is relative to the model's registered reference of this board and data set, timed in turn with
    the file; without one it is the file's own. A float file is registered and described, and takes part in no
    front: quantize it first.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, data, or a file that is no detector of these classes.
        BoardError: the board can't be reached; CandidateError: it refuses the file.
        RegistryError: MLflow does not answer.
    """
    chosen = read_settings(RegisterConfig, settings, options, config)
    from mlflow_nas.api.detectors import open_detector
    from mlflow_nas.data import in_order, load_splits
    from mlflow_nas.registry import reconcile
    from mlflow_nas.tasks import check_truth, evaluate_outputs
    from mlflow_nas.tracking import connect, default_uri
    from mlflow_nas.trial import dataset_tag

    data, client = chosen.data, connect(default_uri())
    with tempfile.TemporaryDirectory() as folder:
        loaded = open_detector(EvaluateConfig(onnx=chosen.file, data=data), folder=Path(folder))
        splits = load_splits(
            data.uri,
            data.classes,
            on_bad_image=data.on_bad_image,
            test_fraction=data.test_fraction,
            eval_augmentations=data.eval_augmentations,
        )
        check_truth(loaded.task, splits.val)
        batches = in_order(splits.val, img_size=loaded.img_size)
        metrics = evaluate_outputs(
            loaded.detector, batches, task=loaded.task, names=data.classes, classes=loaded.indexes
        )
        tags = {
            "nas.task": loaded.task.name,
            "nas.accuracy": loaded.task.metrics[0],
            "nas.dataset": dataset_tag(splits.train, splits.val),
            "nas.precision": loaded.precision,
        }
        latency, measured = _measure(client, chosen, tags["nas.dataset"], Path(folder))
        version = _log(client, chosen, loaded, splits.val, {**metrics, **latency}, {**tags, **measured})
    found = None
    if loaded.precision == "int8":
        found = reconcile(client, chosen.model, board=chosen.board.name, trigger="register")
    return RegisterResult(
        model=chosen.model,
        version=version,
        precision=loaded.precision,
        metrics={**metrics, **latency},
        changes=found.changes if found else (),
        notes=found.notes if found else (f"{chosen.file} is {loaded.precision}: it takes part in no front.",),
    )


def _measure(
    client: "Client", config: RegisterConfig, dataset: str, folder: Path
) -> tuple[dict[str, float], dict[str, str]]:
    """Metrics of the latency, and the tags that say how it was measured."""
    from mlflow_nas.board import get_board
    from mlflow_nas.registry import find_reference

    device = find_onnx_device(config.board.name, config.board.inventory)
    board = get_board(device, threads=config.board.threads)
    try:
        tags = {"nas.board": board.name, "nas.protocol": board.protocol, "nas.runtime": "onnxruntime"}
        reference = find_reference(client, config.model, {**tags, "nas.dataset": dataset})
        known = _reference_file(client, reference, folder) if reference else None
        latency = board.measure(config.file, reference=known)
    finally:
        board.close()
    if latency.unstable:
        tags["nas.latency_unstable"] = "true"
    if reference is None:
        return {**latency.metrics(), "latency_ms": latency.p50_ms, "speedup": 1.0}, tags
    tags |= {f"nas.reference_{name}": value for name, value in reference.accuracies.items()}
    return latency.metrics(reference_ms=reference.latency_ms), tags


def _reference_file(client: "Client", reference: "RegisteredReference", folder: Path) -> Path:
    from mlflow_nas.deployments.release import fetch_release

    return fetch_release(client, reference.uri, folder=folder).file


def _log(
    client: "Client",
    config: RegisterConfig,
    loaded: "LoadedDetector",
    val: "DetectionDataset",
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> str:
    """The run with the measurement, its logged model, and the version."""
    from mlflow_nas.api.project_run import experiment_for
    from mlflow_nas.registry import register_model
    from mlflow_nas.runtime import OnnxDetector
    from mlflow_nas.tracking import ModelFiles, log_command, log_model, model_content
    from mlflow_nas.trial import file_digest

    key, project_run = config.file.stem, take_project_run_id()
    named = {"nas.key": key, "nas.sha256": file_digest(config.file), "nas.role": config.role, **tags}
    run_id = log_command(
        client,
        experiment_id=experiment_for(client, project_run, config.tracking),
        run_id=project_run,
        name=f"register-{key}",
        role=config.role,
        metrics=metrics,
        tags=named,
    )
    with tempfile.TemporaryDirectory() as folder:
        opened = OnnxDetector(config.file)
        golden = _golden(config.file, loaded, val, Path(folder))
        files = ModelFiles(
            onnx=config.file,
            golden=golden,
            key=key,
            model_type=loaded.task.name,
            img_size=loaded.img_size,
            input=opened.input,
            names=opened.names,
            dims=opened.dims,
            classes=config.data.classes,
            metrics=metrics,
        )
        model_id = log_model(client, run_id, model_content(files), [config.file, golden], dataset=None)
    numbers = {name: repr(value) for name, value in metrics.items()}
    shown = (*loaded.task.metrics, "latency_ms", "latency_raw_ms", "speedup")
    kept = {name: numbers[name] for name in shown}
    return register_model(client, config.model, run_id=run_id, model_id=model_id, tags={**named, **kept})


def _golden(file: Path, loaded: "LoadedDetector", val: "DetectionDataset", folder: Path) -> Path:
    """Golden samples: the first validation images, and the file's outputs on the host."""
    import numpy as np

    from mlflow_nas.data import resize_to_bytes
    from mlflow_nas.runtime import GOLDEN_FILE, write_golden

    count = min(_GOLDEN_IMAGES, len(val))
    images = [resize_to_bytes(val[index].image, loaded.img_size).numpy() for index in range(count)]
    return write_golden(folder / GOLDEN_FILE, file, np.stack(images), fp32=file)

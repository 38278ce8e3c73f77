"""A trial's int8 file as an MLflow model, byte for byte the file that was measured."""

import hashlib
import json
import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import mlflow.onnx
import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from mlflow_nas.tracking import names
from mlflow_nas.tracking.attach import NamedData, dataset_entity, log_dataset
from mlflow_nas.tracking.server import server_call

__all__ = ["LoggedInt8", "log_int8_model"]

NAME = "int8"
FILE = "model.onnx"


class LoggedInt8(NamedTuple):
    """A logged model: its id, and the URI that registers or loads it."""

    model_id: str
    uri: str


def log_int8_model(
    client: MlflowClient,
    run_id: str,
    onnx_path: Path,
    *,
    key: str,
    img_size: tuple[int, int],
    classes: Sequence[str],
    metrics: Mapping[str, float],
    dataset: NamedData,
    golden: Path | None = None,
) -> LoggedInt8:
    """Log an int8 ONNX file as the run's model "int8"; the same file is logged once.

    `mlflow.onnx.log_model` would take the run of the calling thread's ambient state and the global
    tracking URI; here both are said. It would also write the network anew: the stored `model.onnx` is a
    copy of the file instead, so that its sha256 (tag nas.sha256) is that of the measured one.

    Args:
        client: the MLflow client.
        run_id: the trial's run; its params become the model's.
        onnx_path: the measured file: "images" [1, 3, H, W] to "detections" [1, 5 + N, h, w].
        key: the architecture's key.
        img_size: H and W of the file's input, pixels.
        classes: the names of the classes, in the order of the network's output.
        metrics: linked to the model and the data set; the run has them already and keeps them.
        dataset: what the metrics were measured on.
        golden: golden samples, stored beside `model.onnx` under their own name; None for none.

    Returns:
        The model's id and URI.

    Raises:
        RegistryError: MLflow does not answer.
    """
    sha256 = hashlib.sha256(onnx_path.read_bytes()).hexdigest()
    tags = {names.SHA256: sha256, names.KEY: key, names.CLASSES: json.dumps(list(classes))}
    run = _run(client, run_id)
    known = _logged_before(client, run, sha256)
    if known:
        return known
    with tempfile.TemporaryDirectory() as folder:
        model = _create(client, run, tags)
        saved = Path(folder) / "model"
        _save(onnx_path, saved, img_size, _description(model, run_id, tags))
        if golden:
            shutil.copyfile(golden, saved / golden.name)
        _store(client, model, saved)
    _link_metrics(client, run_id, model.model_id, metrics, dataset)
    _finish(client, run_id, model)
    return LoggedInt8(model.model_id, model.model_uri)


@server_call("find the trial's run")
def _run(client: MlflowClient, run_id: str) -> Run:
    return client.get_run(run_id)


@server_call("look for the model")
def _logged_before(client: MlflowClient, run: Run, sha256: str) -> LoggedInt8 | None:
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
    ready = [model for model in found if model.status == "READY" and model.tags.get(names.SHA256) == sha256]
    return LoggedInt8(ready[0].model_id, ready[0].model_uri) if ready else None


@server_call("create the model")
def _create(client: MlflowClient, run: Run, tags: Mapping[str, str]) -> LoggedModel:
    return client.create_logged_model(
        run.info.experiment_id,
        name=NAME,
        source_run_id=run.info.run_id,
        tags=dict(tags),
        params=run.data.params,
    )


def _description(model: LoggedModel, run_id: str, tags: Mapping[str, str]) -> Model:
    return Model(
        artifact_path=model.artifact_location,
        run_id=run_id,
        model_uuid=model.model_id,
        model_id=model.model_id,
        metadata=dict(tags),
    )


def _save(onnx_path: Path, folder: Path, img_size: tuple[int, int], description: Model) -> None:
    images = np.zeros((1, 3, *img_size), dtype=np.float32)
    inputs = TensorSpec(images.dtype, images.shape, "images")
    outputs = TensorSpec(images.dtype, (1, -1, -1, -1), "detections")
    mlflow.onnx.save_model(
        onnx_path.read_bytes(),
        folder,
        mlflow_model=description,
        signature=ModelSignature(Schema([inputs]), Schema([outputs])),
        input_example={inputs.name: images},
        pip_requirements=[f"{package}=={version(package)}" for package in ("numpy", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    # save_model has parsed the network and written it anew; what ships is what was measured.
    shutil.copyfile(onnx_path, folder / FILE)


@server_call("store the model's files")
def _store(client: MlflowClient, model: LoggedModel, folder: Path) -> None:
    client.log_model_artifacts(model.model_id, str(folder))


@server_call("log the model's metrics")
def _link_metrics(
    client: MlflowClient, run_id: str, model_id: str, metrics: Mapping[str, float], dataset: NamedData
) -> None:
    log_dataset(client, run_id, dataset, context="validation")
    entity, logged_ms = dataset_entity(dataset), _logged_ms(client, run_id, metrics)
    linked = [
        Metric(
            name,
            float(value),
            logged_ms,
            0,
            model_id=model_id,
            dataset_name=entity.name,
            dataset_digest=entity.digest,
            run_id=run_id,
        )
        for name, value in metrics.items()
        if math.isfinite(value)
    ]
    client.log_batch(run_id, metrics=linked, synchronous=True)


def _logged_ms(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> int:
    """When the run's metrics were logged: with the same time MLflow adds no second point to the run."""
    for name in metrics:
        history = client.get_metric_history(run_id, name)
        if history:
            return int(history[-1].timestamp)
    return time.time_ns() // 1_000_000


@server_call("finish the model")
def _finish(client: MlflowClient, run_id: str, model: LoggedModel) -> None:
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

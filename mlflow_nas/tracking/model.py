"""A trial's model file as an MLflow model, byte for byte the file that was measured."""

import hashlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec
from numpy.typing import NDArray

from mlflow_nas.networks import THRESHOLD
from mlflow_nas.tracking import names
from mlflow_nas.tracking.batch import as_points
from mlflow_nas.tracking.runs import DIGEST_LENGTH, DatasetLink, ModelFiles
from mlflow_nas.types import FLOAT_NCHW, INT8_NHWC_RGB, UINT8_NHWC_RGBX, InputContract

__all__ = ["find_model", "log_model", "model_content"]

FILE = "model"  # and the suffix of the measured file
LOADER = "mlflow_nas.deployments.pyfunc"
"""Module that MLflow loads the python_function flavor by."""
REFUSED = re.compile(r"""[/:.%"']""")


def model_content(model: ModelFiles) -> dict[str, Any]:
    """The description of a model file, as JSON values without the files."""
    content = asdict(model)
    del content["onnx"], content["companions"], content["golden"]
    return content


def find_model(client: MlflowClient, experiment: str, run_id: str) -> str | None:
    """The id of the model that a run has logged; None without one.

    Raises:
        MlflowException: MLflow does not answer.
    """
    ready = [
        model for model in _logged(client, experiment, run_id) if model.status == LoggedModelStatus.READY
    ]
    return str(max(ready, key=lambda model: model.creation_timestamp).model_id) if ready else None


def log_model(
    client: MlflowClient,
    run_id: str,
    content: Mapping[str, Any],
    files: Sequence[Path],
    *,
    dataset: DatasetLink | None,
) -> str:
    """Log an ONNX file as a model of the run; the same file is logged once.

    `mlflow.onnx.log_model` uses the run of the calling thread's ambient state and the global tracking URI;
    here both are arguments. It also writes the network anew; here the stored `model.onnx` is a copy of the
    file, so that its sha256 (tag nas.sha256) is that of the measured one.

    Args:
        client: the MLflow client.
        run_id: the trial's run; its params become the model's.
        content: of `model_content`.
        files: the measured ONNX file, and golden samples, if there are any.
        dataset: what the metrics were measured on.

    Returns:
        The model's id.

    Raises:
        MlflowException: MLflow does not answer.
    """
    onnx_path, *others = files
    sha256 = hashlib.sha256(onnx_path.read_bytes()).hexdigest()
    tags = {names.SHA256: sha256, names.KEY: content["key"], names.CLASSES: json.dumps(content["classes"])}
    run = client.get_run(run_id)
    known = [
        model
        for model in _logged(client, run.info.experiment_id, run_id)
        if model.tags.items() >= tags.items()
    ]
    model = known[0] if known else _create(client, run, content, tags)
    if model.status == LoggedModelStatus.READY:
        return str(model.model_id)
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "model"
        images = _example(content["img_size"], content.get("input", FLOAT_NCHW))
        signature = _signature(content, images)
        if onnx_path.suffix == ".onnx":
            _save_onnx(onnx_path, saved, images, _description(model, run_id, tags), signature)
        else:
            _save_pyfunc(onnx_path, saved, _description(model, run_id, tags))
        _load_by_images(saved, f"{FILE}{onnx_path.suffix}")
        for path in others:
            shutil.copyfile(path, saved / path.name)
        client.log_model_artifacts(model.model_id, str(saved))
    _link_metrics(client, run_id, model.model_id, content["metrics"], dataset)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def _logged(client: MlflowClient, experiment: str, run_id: str) -> list[LoggedModel]:
    found: list[LoggedModel] = client.search_logged_models([experiment], f"source_run_id = '{run_id}'")
    return found


def _create(
    client: MlflowClient, run: Run, content: Mapping[str, Any], tags: Mapping[str, str]
) -> LoggedModel:
    return client.create_logged_model(
        run.info.experiment_id,
        name=REFUSED.sub("-", content["key"]),
        source_run_id=run.info.run_id,
        tags=dict(tags),
        params=run.data.params,
        model_type=content["model_type"],
    )


def _description(model: LoggedModel, run_id: str, tags: Mapping[str, str]) -> Model:
    return Model(
        artifact_path=model.artifact_location,
        run_id=run_id,
        model_uuid=model.model_id,
        model_id=model.model_id,
        metadata=dict(tags),
    )


def _example(img_size: Sequence[int], contract: InputContract) -> NDArray[Any]:
    """A black image as the file takes it."""
    if contract == INT8_NHWC_RGB:
        return np.full((1, *img_size, 3), -128, dtype=np.int8)
    if contract == UINT8_NHWC_RGBX:
        return np.zeros((1, *img_size, 4), dtype=np.uint8)
    return np.zeros((1, 3, *img_size), dtype=np.float32)


def _signature(content: Mapping[str, Any], images: NDArray[Any]) -> ModelSignature:
    """Names and shapes of the file's tensors; contents of earlier releases name none."""
    taken, given = content.get("names", ("images", "detections"))
    inputs = TensorSpec(images.dtype, images.shape, taken)
    outputs = TensorSpec(np.dtype(np.float32), (1, *[-1] * (content.get("dims", 4) - 1)), given)
    return ModelSignature(Schema([inputs]), Schema([outputs]))


def _save_onnx(
    onnx_path: Path,
    folder: Path,
    images: NDArray[Any],
    description: Model,
    signature: ModelSignature,
) -> None:
    import mlflow.onnx  # takes a second, and most processes log no model

    mlflow.onnx.save_model(
        onnx_path.read_bytes(),
        folder,
        mlflow_model=description,
        signature=signature,
        input_example={signature.inputs.input_names()[0]: images},
        pip_requirements=[f"{package}=={version(package)}" for package in ("numpy", "onnxruntime")],
        onnx_execution_providers=["CPUExecutionProvider"],
        save_as_external_data=False,
    )
    # save_model has parsed the network and written it anew; the measured file replaces it.
    shutil.copyfile(onnx_path, folder / f"{FILE}.onnx")


def _save_pyfunc(path: Path, folder: Path, description: Model) -> None:
    """A file of a runtime that MLflow has no flavor for."""
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        folder,
        loader_module=LOADER,
        mlflow_model=description,
        pip_requirements=[f"{package}=={version(package)}" for package in ("numpy", "ai-edge-litert")],
    )
    shutil.copyfile(path, folder / f"{FILE}{path.suffix}")


def _load_by_images(folder: Path, file: str) -> None:
    """Have the python_function flavor take images, of whose forms a schema of inputs would refuse most."""
    saved = Model.load(str(folder))
    saved.flavors["python_function"] |= {"loader_module": LOADER, "data": file}
    saved.signature = ModelSignature(params=ParamSchema([ParamSpec("threshold", "double", THRESHOLD)]))
    saved.save(str(folder / "MLmodel"))


def _link_metrics(
    client: MlflowClient,
    run_id: str,
    model_id: str,
    metrics: Mapping[str, float],
    dataset: DatasetLink | None,
) -> None:
    linked = [
        Metric(
            name,
            value,
            time_ms,
            step,
            model_id=model_id,
            dataset_name=dataset.name if dataset else None,
            dataset_digest=dataset.digest[:DIGEST_LENGTH] if dataset else None,
            run_id=run_id,
        )
        for name, value, time_ms, step in as_points(metrics, _logged_ms(client, run_id, metrics))
    ]
    client.log_batch(run_id, metrics=linked, synchronous=True)


def _logged_ms(client: MlflowClient, run_id: str, metrics: Mapping[str, float]) -> int:
    """The times of the run's metrics: with the same time MLflow adds no second point to the run."""
    for name in metrics:
        history = client.get_metric_history(run_id, name)
        if history:
            return int(history[-1].timestamp)
    return time.time_ns() // 1_000_000

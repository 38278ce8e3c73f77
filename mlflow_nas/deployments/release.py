"""The deployed unit: one model version, its file and hash."""

import datetime
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from mlflow_nas.deployments.manifest import describe_file
from mlflow_nas.deployments.pyfunc import model_classes
from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.redact import redact
from mlflow_nas.registry import disqualification, objectives_of
from mlflow_nas.tracking import fetch_model, model_files, server_call

__all__ = [
    "Release",
    "fetch_release",
    "fetch_unregistered",
    "is_registered",
    "resolve_version",
    "run_address",
]

DIGEST_SHOWN = 12
_METRICS = (*chain(*TASK_METRICS.values()), "latency_ms", "latency_ratio", "latency_raw_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model version and its downloaded file.

    Attributes:
        model: registered model.
        version: its version.
        run_id: of its trial.
        model_id: the logged model.
        board: of its measured latency; None without one.
        precision: "int8" or "fp32", by the file's metadata.
        file: the ONNX or TFLite file on this machine.
        sha256: its hash.
        golden: the golden samples beside it; None without them.
        accuracy: name of the metric that is its accuracy.
        refused: why the version may hold no alias and is not deployed; None for one that may.
        manifest: stored on the device.
    """

    model: str
    version: str
    run_id: str
    model_id: str
    board: str | None
    precision: str
    file: Path
    sha256: str
    golden: Path | None
    accuracy: str
    refused: str | None
    manifest: dict[str, Any]


def fetch_release(client: MlflowClient, model_uri: str, *, folder: Path) -> Release:
    """Resolve models:/NAME@ALIAS or models:/NAME/VERSION and download its file.

    Raises:
        ConfigError: the URI has another form.
        RegistryError: there is no such version, its file is missing, or it is not the measured one.
    """
    found = resolve_version(client, model_uri)
    file = _download(client, found, folder)
    return _release(client, found, file)


def is_registered(model_uri: str) -> bool:
    """Whether a URI has the form of a registered version."""
    name = model_uri.removeprefix("models:/").strip("/")
    return model_uri.startswith("models:/") and ("@" in name or "/" in name)


def fetch_unregistered(client: MlflowClient, model_uri: str, *, folder: Path, name: str) -> Release:
    """Download any other model of MLflow: of a run, a logged model, a folder. Nothing is known of it.

    Args:
        client: the MLflow client.
        model_uri: such as runs:/ID/model, models:/m-ID or a folder.
        folder: where its file is stored.
        name: of the deployment; it stands for the registered model's.

    Raises:
        RegistryError: there is no such model, or it holds not one ONNX file.
    """
    from mlflow_nas.export import model_sha256

    file = fetch_model(client, model_uri, folder)
    found = ModelVersion(name, model_sha256(file)[:DIGEST_SHOWN], 0, source=model_uri)
    return _release(client, found, file)


@server_call("find the model version", "name a version that exists")
def resolve_version(client: MlflowClient, model_uri: str) -> ModelVersion:
    """The version that a URI names.

    Raises:
        ConfigError: the URI has another form; RegistryError: there is no such version.
    """
    name, alias, version = _parse(model_uri)
    if alias:
        return client.get_model_version_by_alias(name, alias)
    return client.get_model_version(name, str(version))


def _parse(model_uri: str) -> tuple[str, str | None, str | None]:
    path = unquote(model_uri.removeprefix("models:/").strip("/"))
    name, at, alias = path.partition("@")
    if model_uri.startswith("models:/") and at and name and alias:
        return name, alias, None
    name, slash, version = path.rpartition("/")
    if model_uri.startswith("models:/") and slash and name and version.isdecimal():
        return name, None, version
    raise ConfigError(f"{model_uri!r} is no model version: give models:/NAME@ALIAS or models:/NAME/VERSION.")


@server_call("download the model")
def _download(client: MlflowClient, found: ModelVersion, folder: Path) -> Path:
    local = mlflow.artifacts.download_artifacts(
        str(found.source), dst_path=str(folder), tracking_uri=client.tracking_uri
    )
    files = model_files(Path(local))
    if len(files) != 1:
        raise RegistryError(
            f"Version {found.version} of {found.name} holds {len(files)} model files, one is needed: "
            "register a model that mlflow_nas logged."
        )
    return files[0]


def _release(client: MlflowClient, found: ModelVersion, file: Path) -> Release:
    from mlflow_nas.export import model_sha256
    from mlflow_nas.runtime import GOLDEN_FILE, OnnxDetector

    sha256, tags = model_sha256(file), dict(found.tags)
    if tags.get("nas.sha256", sha256) != sha256:
        raise RegistryError(
            f"Version {found.version} of {found.name} was measured as sha256 {tags['nas.sha256']}, "
            f"its file has {sha256}: it was changed since; register it again."
        )
    detector, golden = OnnxDetector(file), file.with_name(GOLDEN_FILE)
    accuracy = objectives_of(tags)[0].name
    manifest: dict[str, Any] = {
        "model": found.name,
        "version": str(found.version),
        "registered": found.creation_timestamp > 0,
        "run_id": found.run_id,
        "run": run_address(client, found.run_id),
        "model_id": str(found.source).removeprefix("models:/"),
        "sha256": sha256,
        "format": file.suffix.removeprefix("."),
        "input_size": list(detector.img_size),
        **describe_file(detector, model_classes(detector, file.parent)),
        "metrics": {name: float(tags[name]) for name in (accuracy, *_METRICS) if name in tags},
        "dataset": tags.get("nas.dataset"),
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    return Release(
        model=found.name,
        version=str(found.version),
        run_id=str(found.run_id),
        model_id=str(manifest["model_id"]),
        board=tags.get("nas.board") if tags.keys() & {"latency_ms", "latency_raw_ms"} else None,
        precision=detector.metadata.get("mlflow_nas.precision", "unknown"),
        file=file,
        sha256=sha256,
        golden=golden if golden.is_file() else None,
        accuracy=accuracy,
        refused=disqualification(tags, objectives_of(tags)),
        manifest=manifest,
    )


@server_call("find the run")
def run_address(client: MlflowClient, run_id: str | None) -> str | None:
    """The run's page on a server; without a server, the store and the run's URI."""
    if not run_id:
        return None
    uri = redact(client.tracking_uri)
    if not uri.startswith("http"):
        return f"{uri} runs:/{run_id}"
    experiment = client.get_run(run_id).info.experiment_id
    return f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}?workflowType=machine_learning"

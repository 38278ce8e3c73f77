"""What hangs on a run besides params and metrics: data set, files, tables, a description."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, RunTag

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking.server import server_call

__all__ = [
    "NamedData",
    "dataset_entity",
    "describe",
    "fetch_file",
    "fetch_model",
    "has_file",
    "log_dataset",
    "log_file",
    "log_json",
    "log_measurement",
    "log_table",
    "read_json",
    "run_metrics",
    "run_tags",
]

DIGEST_LENGTH = 36
NOTE_LENGTH = 8_000
TABLES = "mlflow.loggedArtifacts"


class NamedData(Protocol):
    """A data set as MLflow sees it: a name, a digest of its content, and where it comes from."""

    @property
    def name(self) -> str:
        """Short name, such as penn-fudan."""

    @property
    def digest(self) -> str:
        """Hash of the content, hexadecimal."""

    @property
    def uri(self) -> str:
        """Where it was read from."""


def dataset_entity(data: NamedData) -> Dataset:
    """The data set as MLflow stores it; of a longer digest the first 36 characters, MLflow's limit."""
    source = json.dumps({"uri": data.uri})
    return Dataset(name=data.name, digest=data.digest[:DIGEST_LENGTH], source_type="local", source=source)


@server_call("log the data set")
def log_dataset(client: MlflowClient, run_id: str, data: NamedData, *, context: str) -> None:
    """Link a data set to a run; a second call changes nothing.

    Args:
        client: the MLflow client.
        run_id: the run.
        data: the data set.
        context: what it was used for, such as "training" or "validation".

    Raises:
        RegistryError: MLflow does not answer.
    """
    tag = InputTag("mlflow.data.context", context)
    client.log_inputs(run_id, [DatasetInput(dataset_entity(data), [tag])])


@server_call("store the file")
def log_file(client: MlflowClient, run_id: str, path: Path, folder: str | None = None) -> None:
    """Store a file with a run, under its own name; one of the same name is replaced.

    Raises:
        RegistryError: MLflow does not answer, or the file can't be read.
    """
    client.log_artifact(run_id, str(path), folder)


@server_call("list the files")
def has_file(client: MlflowClient, run_id: str, name: str) -> bool:
    """Whether a run has a file of that name.

    Raises:
        RegistryError: MLflow does not answer.
    """
    return any(item.path == name for item in client.list_artifacts(run_id))


@server_call("fetch the file")
def fetch_file(client: MlflowClient, run_id: str, name: str, target: Path) -> None:
    """Copy a run's file to this machine; the target appears whole or not at all.

    Raises:
        RegistryError: MLflow does not answer, or has no such file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        Path(client.download_artifacts(run_id, name, folder)).replace(target)


@server_call("download the model", "give the URI of a model that exists")
def fetch_model(client: MlflowClient, uri: str, folder: Path) -> Path:
    """Download the one ONNX file of an MLflow model into a folder.

    Raises:
        RegistryError: MLflow does not answer, has no such model, or the model holds no or several ONNX files.
    """
    local = download_artifacts(uri, dst_path=str(folder), tracking_uri=client.tracking_uri)
    files = sorted(Path(local).rglob("*.onnx"))
    if len(files) != 1:
        raise RegistryError(
            f"{uri} holds {len(files)} ONNX files, one is needed: name a model that mlflow_nas has logged."
        )
    return files[0]


@server_call("log the measurement")
def log_measurement(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Add metrics and tags to a run that is not a trial.

    Raises:
        RegistryError: MLflow does not answer.
    """
    now_ms = time.time_ns() // 1_000_000
    client.log_batch(
        run_id,
        metrics=[Metric(name, float(value), now_ms, 0) for name, value in metrics.items()],
        tags=[RunTag(name, value) for name, value in tags.items()],
        synchronous=True,
    )


@server_call("store the table")
def log_table(
    client: MlflowClient, run_id: str, columns: Sequence[str], rows: Sequence[Sequence[object]], name: str
) -> None:
    """Store a table that MLflow's UI shows as one; one of the same name is replaced.

    `MlflowClient.log_table` would append to it, so the file is written here in its format.

    Args:
        client: the MLflow client.
        run_id: the run.
        columns: names of the columns.
        rows: one value per column in each; None where there is none.
        name: of the artifact, ending in .json.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.log_dict(run_id, {"columns": list(columns), "data": [list(row) for row in rows]}, name)
    entry = {"path": name, "type": "table"}
    known = json.loads(client.get_run(run_id).data.tags.get(TABLES, "[]"))
    if entry not in known:
        client.set_tag(run_id, TABLES, json.dumps([*known, entry]))


@server_call("store the file")
def log_json(client: MlflowClient, run_id: str, content: Mapping[str, object], name: str) -> None:
    """Store plain values with a run as a JSON file; one of the same name is replaced.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.log_dict(run_id, dict(content), name)


@server_call("fetch the file")
def read_json(client: MlflowClient, run_id: str, name: str) -> dict[str, Any]:
    """The content of a run's JSON file.

    Raises:
        RegistryError: MLflow does not answer, or has no such file.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = Path(client.download_artifacts(run_id, name, folder)).read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@server_call("read the run")
def run_metrics(client: MlflowClient, run_id: str) -> dict[str, float]:
    """The metrics of a run.

    Raises:
        RegistryError: MLflow does not answer, or has no such run.
    """
    return dict(client.get_run(run_id).data.metrics)


@server_call("read the run")
def run_tags(client: MlflowClient, run_id: str) -> dict[str, str]:
    """The tags of a run.

    Raises:
        RegistryError: MLflow does not answer, or has no such run.
    """
    return dict(client.get_run(run_id).data.tags)


@server_call("write the description")
def describe(client: MlflowClient, run_id: str, markdown: str) -> None:
    """Set the run's description, at most 8,000 characters of it.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.set_tag(run_id, "mlflow.note.content", markdown[:NOTE_LENGTH])

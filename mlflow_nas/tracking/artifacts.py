"""Files of runs and models: stored, shown as tables, fetched."""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking.server import server_call

__all__ = ["fetch_file", "fetch_model", "log_file", "log_table", "table_text"]

TABLES = "mlflow.loggedArtifacts"


@server_call("store the file")
def log_file(client: MlflowClient, run_id: str, path: Path, folder: str | None = None) -> None:
    """Store a file with a run, under its own name; one of the same name is replaced.

    Raises:
        RegistryError: MLflow does not answer, or the file can't be read.
    """
    client.log_artifact(run_id, str(path), folder)


@server_call("store the table")
def log_table(
    client: MlflowClient, run_id: str, columns: Sequence[str], rows: Sequence[Sequence[object]], name: str
) -> None:
    """Store a table that MLflow's UI shows as one; one of the same name is replaced.

    Args:
        client: the MLflow client.
        run_id: the run.
        columns: names of the columns.
        rows: one value per column in each; None where there is none.
        name: of the artifact, ending in .json.

    Raises:
        RegistryError: MLflow does not answer.
    """
    store_table(client, run_id, name, table_text(columns, rows))


def store_table(client: MlflowClient, run_id: str, name: str, text: str) -> None:
    """Store the text of a table; `MlflowClient.log_table` would append to one of the same name.

    Raises:
        MlflowException: MLflow does not answer.
    """
    client.log_text(run_id, text, name)
    entry = {"path": name, "type": "table"}
    known = json.loads(client.get_run(run_id).data.tags.get(TABLES, "[]"))
    if entry not in known:
        client.set_tag(run_id, TABLES, json.dumps([*known, entry]))


def table_text(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table in MLflow's format; its UI takes a dot in a column's name for a path, so it becomes a slash."""
    cells = [[None if isinstance(v, float) and not math.isfinite(v) else v for v in row] for row in rows]
    return json.dumps({"columns": [name.replace(".", "/") for name in columns], "data": cells}, default=str)


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
    """Download an MLflow model into a folder; its one ONNX or TFLite file.

    Raises:
        RegistryError: MLflow does not answer, has no such model, or the model holds no or several ONNX files.
    """
    local = download_artifacts(uri, dst_path=str(folder), tracking_uri=client.tracking_uri)
    files = model_files(Path(local))
    if len(files) != 1:
        raise RegistryError(
            f"{uri} holds {len(files)} ONNX or TFLite files, one is needed: name a model that mlflow_nas has "
            "logged."
        )
    return files[0]


def model_files(folder: Path) -> list[Path]:
    """Files of a downloaded model that may be its network: any ONNX file, a TFLite file under our name."""
    return sorted([*folder.rglob("*.onnx"), *folder.rglob("model.tflite")])

"""The MLflow server for a local network."""

import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

SERVE = Path(__file__).parents[2] / "deploy" / "local-server" / "serve"


@pytest.mark.services
def test_a_run_and_its_artifact_come_back_from_the_server(mlflow_server: str, tmp_path: Path) -> None:
    """Clients need only the URL: metrics and artifacts go through the server."""
    client = MlflowClient(mlflow_server)
    run = client.create_run(client.create_experiment("server"))
    client.log_metric(run.info.run_id, "map", 0.5)
    note = tmp_path / "note.txt"
    note.write_text("from the client", encoding="utf-8")
    client.log_artifact(run.info.run_id, str(note))

    assert client.get_run(run.info.run_id).data.metrics == {"map": 0.5}
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    (tmp_path / "back").mkdir()
    back = client.download_artifacts(run.info.run_id, "note.txt", str(tmp_path / "back"))
    assert Path(back).read_text(encoding="utf-8") == "from the client"


@pytest.mark.parametrize("arguments", [[], ["--port", "5001"]])
def test_a_missing_directory_is_refused_with_the_usage(arguments: list[str]) -> None:
    """The database is never created in the working directory by accident."""
    done = subprocess.run([SERVE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "usage: serve DIRECTORY" in done.stderr

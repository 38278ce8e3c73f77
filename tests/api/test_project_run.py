"""What a command leaves in the run of a project, and where its own runs go."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from mlflow_nas import api
from mlflow_nas.api.project_run import experiment_for, params_for, record
from mlflow_nas.config import ProfileConfig, TrackingSection, load_config


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """Of the test's own store."""
    return MlflowClient(tracking_uri)


@pytest.fixture
def project_run(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """The run that `mlflow run` made for this process."""
    run_id = str(client.create_run("0").info.run_id)
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    return run_id


def test_what_a_command_changed_stands_in_the_projects_run(
    client: MlflowClient, project_run: str, tmp_path: Path
) -> None:
    """As an artifact with the command's name; without a project nothing is logged."""
    record({"model": "m", "changes": []}, role="promote", metrics={"changes": 0})
    run = client.get_run(project_run)
    assert (run.data.tags["nas.role"], run.data.metrics) == ("promote", {"changes": 0})
    file = download_artifacts(
        run_id=project_run,
        artifact_path="promote.json",
        dst_path=str(tmp_path),
        tracking_uri=client.tracking_uri,
    )
    assert json.loads(Path(file).read_text(encoding="utf-8")) == {"model": "m", "changes": []}
    record({"model": "m"}, role="deploy")
    assert client.get_run(project_run).data.tags["nas.role"] == "promote", "the run is taken once"
    assert len(client.search_runs(["0"])) == 1


def test_what_was_done_stands_when_mlflow_is_gone(
    project_run: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A rollback on a device is no failure because its record could not be written."""
    monkeypatch.setenv("MLFLOW_RUN_ID", f"{project_run[:-1]}x")
    record({}, role="rollback")
    assert "The result of rollback is not in its MLflow run" in caplog.text


def test_a_profile_of_a_project_is_not_described_twice(client: MlflowClient, project_run: str) -> None:
    """What `mlflow run` logged under an option's name is left out, empty ones excepted."""
    client.log_param(project_run, "depth", "3")
    client.log_param(project_run, "board", "")
    params = params_for(client, load_config(ProfileConfig, {"depth": "3"}), project_run)
    assert "depth" not in params
    assert params["board.name"] == "local"
    assert params_for(client, ProfileConfig(), None)["depth"] == "2"


def test_runs_go_to_the_projects_the_configured_or_the_environments_experiment(
    client: MlflowClient, project_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order."""
    other = client.create_experiment("other")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", other)
    assert experiment_for(client, project_run, TrackingSection(experiment="typed")) == "0"
    typed = experiment_for(client, None, TrackingSection(experiment="typed"))
    assert client.get_experiment(typed).name == "typed"
    assert experiment_for(client, None, TrackingSection()) == other
    monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    assert client.get_experiment(experiment_for(client, None, TrackingSection())).name == "mlflow-nas"


def test_commands_that_only_look_leave_no_run(client: MlflowClient) -> None:
    """Neither does a device list nor a check."""
    assert api.boards().boards[0]["name"] == "local"
    assert api.doctor(board="fake").ready
    assert client.search_runs(["0"]) == []

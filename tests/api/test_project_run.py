"""What a command leaves in the run of a project, and where its own runs go."""

import pytest
from mlflow import MlflowClient

from mlflow_nas import api
from mlflow_nas.api.project_run import experiment_for, params_for
from mlflow_nas.config import ProfileConfig, TrackingSection, load_config
from mlflow_nas.registry import reconcile


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


def test_what_a_promotion_did_stands_in_the_projects_run(client: MlflowClient, project_run: str) -> None:
    """Also that it changed nothing; the run is taken once."""
    tags = {"map": "0.5", "latency_ms": "5", "nas.precision": "int8", "nas.board": "pi", "nas.dataset": "d@1"}
    client.create_registered_model("m")
    client.create_model_version("m", "file:///nowhere", tags=tags)
    assert api.promote(model="m").run_id == project_run
    run = client.get_run(project_run)
    assert (run.data.tags["nas.role"], run.data.tags["nas.trigger"]) == ("promotion", "promote")
    assert run.data.metrics["changes"] > 0
    assert api.promote(model="m").run_id is None
    assert reconcile(client, "m", run_id=project_run).changes == ()
    assert client.get_run(project_run).data.metrics["changes"] == 0


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

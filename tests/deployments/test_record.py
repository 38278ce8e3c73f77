"""What a deployment leaves in MLflow beside the tags of its version."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from mlflow_nas import api
from mlflow_nas.deployments import Options, deploy, follow
from mlflow_nas.errors import CandidateError

Register = Callable[..., str]
MODEL = "person-detector"


def _records(client: MlflowClient) -> list[Run]:
    """The runs of deployments, the first one first."""
    found = client.get_experiment_by_name("mlflow-nas")
    if found is None:
        return []
    runs = client.search_runs([found.experiment_id], "tags.`nas.role` = 'deployment'")
    return sorted(runs, key=lambda run: run.info.start_time)


def _lines(client: MlflowClient, run: Run, folder: Path) -> list[dict[str, Any]]:
    file = Path(client.download_artifacts(run.info.run_id, "changes.jsonl", str(folder)))
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def _versions(line: dict[str, Any]) -> tuple[str | None, ...]:
    return tuple(line[when] and line[when]["version"] for when in ("before", "after"))


def test_each_change_of_a_device_is_recorded(
    client: MlflowClient, register: Register, tmp_path: Path
) -> None:
    """By every command: which versions, why, by which trigger, and what was measured."""
    api.deploy(model=MODEL, device="fake")
    register()
    api.deploy(model=f"models:/{MODEL}/2", device="fake")
    api.rollback(device="fake", name=MODEL)
    get_deploy_client("nas-edge://fake").delete_deployment(MODEL)
    runs = _records(client)
    assert [run.data.tags["nas.trigger"] for run in runs] == [
        "deploy",
        "deploy",
        "rollback",
        "mlflow deployments",
    ]
    assert {(run.data.tags["nas.device"], run.info.status) for run in runs} == {("fake", "FINISHED")}
    lines = [_lines(client, run, tmp_path) for run in runs]
    assert [_versions(line) for (line,) in lines] == [(None, "1"), ("1", "2"), ("2", "1"), ("1", None)]
    (second,) = lines[1]
    assert second["why"] == f"models:/{MODEL}/2"
    assert second["latency_raw_ms"] > 0
    assert len(second["after"]["sha256"]) == 64


def test_a_project_run_has_the_record(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """No further run is made."""
    own = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", own)
    api.deploy(model=MODEL, device="fake")
    assert client.get_run(own).data.tags["nas.role"] == "deployment"
    assert _records(client) == []


def test_a_rollout_that_stops_is_recorded_up_to_there(
    client: MlflowClient, register: Register, inventory: Callable[..., None], tmp_path: Path
) -> None:
    """With what was taken back; a device that changes nothing has no record."""
    limits: dict[str, object] = {"latency_limit_ms": 1e-6}
    inventory(first={"groups": ["g"]}, second={"groups": ["g"], **limits})
    register(**{"nas.board": "first"})
    with pytest.raises(CandidateError, match="stopped at second"):
        deploy(client, MODEL, device="group/g", options=Options(atomic=True))
    (run,) = _records(client)
    assert [_versions(line) for line in _lines(client, run, tmp_path)] == [(None, "2"), ("2", None)]
    assert run.data.metrics["changes"] == 2
    with pytest.raises(CandidateError, match="latency_limit_ms"):
        deploy(client, MODEL, device="second", options=Options(force=True))
    assert len(_records(client)) == 1


def test_the_trigger_of_a_hook_is_recorded(client: MlflowClient) -> None:
    """So that a user sees why a device changed at night; a call that changes nothing leaves no run."""
    for _ in range(2):
        follow(client, MODEL, device="fake", trigger="watch")
    assert [run.data.tags["nas.trigger"] for run in _records(client)] == ["watch"]


def test_a_password_is_in_no_manifest_and_no_record(
    client: MlflowClient, tracking_uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The manifest names the store of the run, and so does the record."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{tracking_uri}?password=hunter2")
    made = api.deploy(model=MODEL, device="fake")
    assert made.manifest["run"].startswith(f"{tracking_uri}?password=*** runs:/")
    (run,) = _records(client)
    shown = json.dumps([run.to_dictionary(), _lines(client, run, tmp_path), made.as_json()], default=str)
    assert "hunter2" not in shown
    assert not [path for path in (tmp_path / "home").rglob("*.json") if "hunter2" in path.read_text("utf-8")]


def test_a_record_that_can_not_be_written_is_a_warning(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The device is changed all the same."""

    def gone(*_: object, **__: object) -> None:
        raise MlflowException("connection refused")

    monkeypatch.setattr(MlflowClient, "create_run", gone)
    assert deploy(client, MODEL, device="fake")["version"] == "1"
    assert "person-detector on fake is changed, but there is no record: MLflow at" in caplog.text

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.tracking import (
    address,
    connect,
    describe,
    experiment_id,
    finish_trial,
    log_dataset,
    log_file,
    log_int8_model,
    log_table,
    open_study,
    start_trial,
    trial_runs,
)
from mlflow_nas.types import Evaluation


@pytest.fixture
def run_id(client: MlflowClient, experiment: str) -> str:
    """A run."""
    return str(client.create_run(experiment).info.run_id)


def test_a_silent_server_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says address and remedy, in one line, and keeps the secret."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = connect("http://me:secret@127.0.0.1:9")
    with pytest.raises(RegistryError) as caught:
        experiment_id(client, "nas")
    text = str(caught.value)
    assert text.startswith("MLflow at http://me:***@127.0.0.1:9 could not find or create the experiment: ")
    assert text.endswith("; check that it runs, then rerun the same command: the study continues")
    assert "secret" not in text
    assert "\n" not in text
    assert len(text) < 600


def test_a_server_that_goes_away_midway_is_a_registry_error(
    client: MlflowClient, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither MLflow's nor the transport's own exceptions leave the room."""

    def gone(*_args: object, **_kwargs: object) -> None:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(client, "log_batch", gone)
    evaluation = Evaluation(number=0, key="k", architecture={}, state="complete")
    with pytest.raises(RegistryError, match="could not log the trial: reset by peer; check that it runs"):
        finish_trial(client, run_id, evaluation)


@pytest.mark.parametrize("uri", ["bogus://x", "sqlite:////proc/nowhere/mlflow.db"])
def test_an_unusable_tracking_uri_is_the_users_fault(uri: str) -> None:
    """An unknown scheme and a folder that can't be made are named, with an example that works."""
    with pytest.raises(ConfigError, match=f"MLflow can't use {uri}: .*; give a tracking URI such as sqlite"):
        connect(uri)


def test_an_address_without_password_stays_as_it_is() -> None:
    """Only passwords are hidden."""
    assert address("sqlite:////nowhere/me/mlflow.db") == "sqlite:////nowhere/me/mlflow.db"
    assert address("postgresql://me:pw@db/nas") == "postgresql://me:***@db/nas"


def test_a_data_set_is_linked_once(client: MlflowClient, run_id: str, photographs: SimpleNamespace) -> None:
    """Name, source and context stand with the run; a digest too long for MLflow is cut, not refused."""
    photographs.digest = "f" * 64
    for _ in range(2):
        log_dataset(client, run_id, photographs, context="training")
    (entry,) = client.get_run(run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("penn-fudan", "f" * 36)
    assert json.loads(entry.dataset.source) == {"uri": "coco:penn-fudan"}
    assert {tag.key: tag.value for tag in entry.tags} == {"mlflow.data.context": "training"}


def test_a_table_is_replaced_not_appended(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    """Logged twice it has the second content, is listed once, and reads back as MLflow's own table."""
    columns = ["trial", "map"]
    log_table(client, run_id, columns, [[0, 0.5]], "trials.json")
    log_table(client, run_id, columns, [[0, 0.5], [1, None]], "trials.json")
    tag = client.get_run(run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(tag) == [{"path": "trials.json", "type": "table"}]
    path = client.download_artifacts(run_id, "trials.json", str(tmp_path))
    assert json.loads(Path(path).read_text()) == {"columns": columns, "data": [[0, 0.5], [1, None]]}


def test_files_go_below_their_folder(client: MlflowClient, run_id: str, tmp_path: Path) -> None:
    """A file keeps its name."""
    picture = tmp_path / "pareto.png"
    picture.write_bytes(b"png")
    log_file(client, run_id, picture, "figures")
    assert [entry.path for entry in client.list_artifacts(run_id, "figures")] == ["figures/pareto.png"]


def test_a_description_is_cut_at_mlflows_limit(client: MlflowClient, run_id: str) -> None:
    """MLflow's UI shows it above the run."""
    describe(client, run_id, "# Study\n" + "x" * 9_000)
    note = client.get_run(run_id).data.tags["mlflow.note.content"]
    assert note.startswith("# Study\n")
    assert len(note) == 8_000


@pytest.mark.services
def test_a_study_goes_through_a_server(
    mlflow_server: str, int8_file: Path, photographs: SimpleNamespace
) -> None:
    """Study, trial and model reach an MLflow server over HTTP as they reach a database."""
    client = connect(mlflow_server)
    experiment = experiment_id(client, "nas")
    study = open_study(client, experiment_id=experiment, study="pf", tags={}, params={"trials": 1})
    run_id = start_trial(
        client,
        experiment_id=experiment,
        parent_id=study,
        study="pf",
        number=0,
        role="baseline",
        name="k3",
        tags={},
    )
    done = Evaluation(number=0, key="k3", architecture={}, state="complete", metrics={"map": 0.5})
    finish_trial(client, run_id, done)
    logged = log_int8_model(
        client,
        run_id,
        int8_file,
        key="k3",
        img_size=(32, 48),
        classes=("person",),
        metrics=done.metrics,
        dataset=photographs,
    )
    assert [run.info.run_id for run in trial_runs(client, experiment, study)] == [run_id]
    model = client.get_logged_model(logged.model_id)
    assert model.metrics is not None
    assert [(metric.key, metric.dataset_name) for metric in model.metrics] == [("map", "penn-fudan")]

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.registry import reconcile
from mlflow_nas.tracking import connect, experiment_id, experiment_of, log_file


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


def test_mlflow_waits_seconds_not_minutes_unless_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own defaults are 120 s, 7 retries with growing pauses, and any pause that an answer names."""
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    connect("http://127.0.0.1:9")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"
    assert os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] == "false"


def test_a_file_that_is_missing_is_a_registry_error(
    client: MlflowClient, experiment: str, tmp_path: Path
) -> None:
    """Neither MLflow's nor the transport's own exceptions leave the room."""
    run_id = client.create_run(experiment).info.run_id
    with pytest.raises(RegistryError, match=r"could not store the file: .*; check that it runs"):
        log_file(client, run_id, tmp_path / "nowhere")


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes every request and answers none."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_does_not_answer_is_mentioned_before_it_is_an_error(
    silent: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A line says what is waited for; the error has the first cause, the address and the remedy."""
    monkeypatch.setattr(sys.modules["mlflow_nas.tracking.server"], "NOTICE_S", 0.3)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = connect(silent)
    with pytest.raises(RegistryError, match=rf"MLflow at {silent} could not find .*timed out.*; check that"):
        experiment_id(client, "nas")
    (notice,) = caplog.messages
    assert notice.startswith(f"MLflow at {silent} is asked to find or create the experiment, and has not")


@pytest.mark.slow  # it waits for half a minute
def test_a_server_that_does_not_answer_is_an_error_within_a_minute(
    silent: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the settings that users have: the first line after 10 s, whatever the command calls."""
    client, start = connect(silent), time.monotonic()
    with pytest.raises(RegistryError, match=r"could not reconcile the model registry: .*timed out"):
        reconcile(client, "person-detector")
    assert time.monotonic() - start < 60
    assert "is asked to reconcile the model registry, and has not finished after 10 s" in caplog.text


@pytest.mark.parametrize("uri", ["bogus://x", "sqlite:////proc/nowhere/mlflow.db"])
def test_an_unusable_tracking_uri_is_the_users_fault(uri: str) -> None:
    """An unknown scheme and a folder that can't be made are named, with an example that works."""
    with pytest.raises(ConfigError, match=f"MLflow can't use {uri}: .*; give a tracking URI such as sqlite"):
        connect(uri)


CREATING = """
import sys
from mlflow_nas.tracking import connect
print("ready", flush=True)
connect(sys.argv[1])
"""


def test_a_kill_while_the_tables_are_created_breaks_nothing(tmp_path: Path) -> None:
    """The database appears whole; the next process starts anew and removes what was left aside."""
    database = tmp_path / "mlflow.db"
    aside = tmp_path / ".mlflow.db.new"
    process = subprocess.Popen(
        [sys.executable, "-c", CREATING, f"sqlite:///{database}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (aside.exists() and aside.stat().st_size > 50_000) and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not database.exists()
    client = connect(f"sqlite:///{database}")
    assert experiment_id(client, "nas") == experiment_id(client, "nas")
    assert not aside.exists()


def test_an_existing_database_is_left_as_it_is(
    client: MlflowClient, tracking_uri: str, experiment: str
) -> None:
    """A second connection creates nothing aside."""
    path = Path(tracking_uri.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as connection:
        before = connection.execute("SELECT count(*) FROM experiments").fetchone()
    assert experiment_id(connect(tracking_uri), "nas") == experiment
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM experiments").fetchone() == before
    assert client.get_experiment(experiment).name == "nas"


def test_experiment_is_created_once(client: MlflowClient) -> None:
    """The second call of a name finds the first one's experiment."""
    assert experiment_id(client, "mine") == experiment_id(client, "mine")


def test_mlflows_own_variables_name_the_default_experiment(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name before the id, as in MLflow; an experiment that is named by an option wins."""
    mine, ours = experiment_id(client, "mine"), experiment_id(client, "ours")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", mine)
    assert experiment_id(client, "mlflow-nas") == mine
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    assert experiment_id(client, "mlflow-nas") == ours
    assert experiment_id(client, "mine") == mine


def test_the_registry_is_where_mlflow_says(
    tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLFLOW_REGISTRY_URI, else the tracking server."""
    elsewhere = f"sqlite:///{shutil.copy(tracking_uri.removeprefix('sqlite:///'), tmp_path / 'registry.db')}"
    connect(tracking_uri).create_registered_model("here")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", elsewhere)
    assert connect(tracking_uri).search_registered_models() == []
    monkeypatch.delenv("MLFLOW_REGISTRY_URI")
    assert [model.name for model in connect(tracking_uri).search_registered_models()] == ["here"]


def test_a_project_run_tells_its_experiment(client: MlflowClient, experiment: str) -> None:
    """An unknown run is the registry's fault, in MLflow's own sentence."""
    assert experiment_of(client, client.create_run(experiment).info.run_id) == experiment
    with pytest.raises(RegistryError, match=r"MLflow at sqlite:.* could not find the run: Run .*nowhere"):
        experiment_of(client, "nowhere")

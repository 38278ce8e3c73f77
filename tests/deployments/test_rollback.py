"""Rollback by command, by the plugin and by the API."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.deployments import deploy
from mlflow_nas.errors import ConfigError

Register = Callable[..., str]


@pytest.fixture
def two(client: MlflowClient, register: Register) -> MlflowClient:
    """Version 2 is active on `fake`, version 1 is the previous one."""
    deploy(client, "person-detector", device="fake")
    register()
    deploy(client, "person-detector", device="fake")
    return client


@pytest.mark.usefixtures("two")
def test_two_rollbacks_cancel_out() -> None:
    """`mlflow_nas rollback`, as text and JSON."""
    words = ["rollback", "--device", "fake", "--name", "person-detector"]
    done = CliRunner().invoke(main, words)
    assert done.output.startswith("person-detector is version 1 of person-detector again (sha256 ")
    again = CliRunner().invoke(main, [*words, "--json"])
    assert json.loads(again.stdout)["version"] == "2"


@pytest.mark.usefixtures("two")
def test_update_rolls_back_with_an_option() -> None:
    """`mlflow deployments update -C rollback=true`, without a model."""
    edge = get_deploy_client("nas-edge://fake")
    assert edge.update_deployment("person-detector", config={"rollback": "true"})["version"] == "1"
    with pytest.raises(MlflowException, match="rollback=true and -m models:/x/1 exclude each other"):
        edge.update_deployment("person-detector", "models:/x/1", config={"rollback": "true"})
    with pytest.raises(MlflowException, match=r"give -m models:/NAME@ALIAS, or -C rollback=true"):
        edge.update_deployment("person-detector")


def test_without_a_previous_version_there_is_no_rollback(client: MlflowClient) -> None:
    """The active version stays."""
    deploy(client, "person-detector", device="fake")
    with pytest.raises(ConfigError, match=r"no previous version on the device.*Version 1 is active"):
        api.rollback(device="fake", name="person-detector")
    with pytest.raises(ConfigError, match=r"door has no previous version.*Nothing is active as door on fake"):
        api.rollback(device="fake", name="door")


@pytest.mark.usefixtures("two")
def test_no_server_is_needed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The device has both versions; the missing tags are in the log."""
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    assert api.rollback(device="fake", name="person-detector").manifest["version"] == "1"
    assert "the rollback is not recorded in MLflow" in caplog.text

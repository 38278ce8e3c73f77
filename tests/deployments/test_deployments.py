"""The plugin nas-edge against a real MLflow store on sqlite."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli as mlflow_cli
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlflow_nas.deployments import deploy, release, run_local, target_help

MODEL_URI = "models:/person-detector@champion"

Register = Callable[..., str]


def test_life_of_a_deployment(client: MlflowClient) -> None:
    """Create, get, list, update and delete, with the manifest on the device."""
    edge = get_deploy_client("nas-edge://fake")
    made = edge.create_deployment("door", MODEL_URI)
    assert (made["name"], made["flavor"], made["version"]) == ("door", "onnx", "1")
    found = edge.get_deployment("door")
    assert (found["input_size"], found["classes"]) == ([32, 48], ["person"])
    assert found["metrics"]["map_50"] == 0.8
    run_id = client.get_model_version("person-detector", "1").run_id
    assert found["run"] == f"{client.tracking_uri} runs:/{run_id}"
    edge.update_deployment("door", MODEL_URI)
    assert [deployment["name"] for deployment in edge.list_deployments()] == ["door"]
    edge.delete_deployment("door")
    edge.delete_deployment("door")
    assert edge.list_deployments() == []


@pytest.mark.usefixtures("client")
def test_create_and_update_name_each_other() -> None:
    """Creating twice says update; updating what is missing says create."""
    edge = get_deploy_client("nas-edge://fake")
    with pytest.raises(MlflowException, match="no deployment 'door': use create"):
        edge.update_deployment("door", MODEL_URI)
    edge.create_deployment("door", MODEL_URI)
    with pytest.raises(MlflowException, match="already has a deployment 'door': use update"):
        edge.create_deployment("door", MODEL_URI)


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"froce": "true"}, "Unknown option -C froce: known are force, max_regression"),
        ({"force": "yes"}, "-C force=yes: give true or false"),
        ({"max_regression": "-1"}, "-C max_regression=-1: give a share of at least 0"),
        ({"max_regression": "nan"}, "-C max_regression=nan: give a share"),
        ({"rollback": "true"}, "Unknown option -C rollback: known are force"),
    ],
)
def test_an_option_that_cant_be_is_refused(config: dict[str, str], sentence: str) -> None:
    """By name, value and bound."""
    with pytest.raises(MlflowException, match=sentence):
        get_deploy_client("nas-edge://fake").create_deployment("door", MODEL_URI, config=config)


def test_tags_of_the_versions_say_what_is_where(client: MlflowClient, register: Register) -> None:
    """The active version has name and latency, one that was replaced or removed has none."""

    def tags(version: str) -> dict[str, str]:
        found = client.get_model_version("person-detector", version).tags
        return {name: value for name, value in found.items() if name.startswith("deploy.")}

    edge = get_deploy_client("nas-edge://fake")
    made = edge.create_deployment("door", MODEL_URI)
    assert tags("1") == {"deploy.fake": "door", "deploy.fake.latency_ms": repr(made["proof"]["latency_ms"])}
    register()
    edge.update_deployment("door", MODEL_URI)
    assert (tags("1"), tags("2").keys()) == ({}, {"deploy.fake", "deploy.fake.latency_ms"})
    edge.update_deployment("door", config={"rollback": "true"})
    assert (tags("1")["deploy.fake"], tags("2")) == ("door", {})
    edge.delete_deployment("door")
    assert tags("1") == {}


@pytest.mark.usefixtures("client")
def test_a_deployment_whose_manifest_is_damaged_can_be_deleted(tmp_path: Path) -> None:
    """That is what the refusal says; the other names are listed meanwhile."""
    edge = get_deploy_client("nas-edge://fake")
    for name in ("door", "gate"):
        edge.create_deployment(name, MODEL_URI)
    (manifest,) = (tmp_path / "home").rglob("door/manifest.json")
    manifest.write_text("{", encoding="utf-8")
    with pytest.raises(MlflowException, match=r"is damaged .*: delete door, deploy it again"):
        edge.get_deployment("door")
    door, gate = edge.list_deployments()
    assert (door["name"], "is damaged" in door["refused"], gate["version"]) == ("door", True, "1")
    edge.delete_deployment("door")
    assert [found["name"] for found in edge.list_deployments()] == ["gate"]


@pytest.mark.services
def test_the_manifest_keeps_the_address_of_the_runs_page(mlflow_server: str) -> None:
    """Whoever stands before the device finds the run in a browser."""
    client = MlflowClient(mlflow_server)
    run = client.create_run("0").info
    assert release._run_address(client, run.run_id) == f"{mlflow_server}/#/experiments/0/runs/{run.run_id}"
    assert release._run_address(client, None) is None


def test_a_server_that_is_gone_after_the_switch_stops_nothing(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The device has the version; that it was not noted is said."""

    def gone(*_: object) -> None:
        raise MlflowException("connection refused")

    monkeypatch.setattr(MlflowClient, "set_model_version_tag", gone)
    assert deploy(client, "person-detector", device="fake", name="door")["version"] == "1"
    assert "door is deployed on fake, but MLflow at" in caplog.text
    assert "connection refused" in caplog.text


def test_bare_model_name_means_its_champion(client: MlflowClient) -> None:
    """`deploy` creates, then updates, under the registered model's name."""
    for _ in range(2):
        assert deploy(client, "person-detector", device="fake")["name"] == "person-detector"


def test_run_local_deploys_to_this_machine(register: Register) -> None:
    """run_local needs no target; the local device proves the model in processes of its own."""
    register(**{"nas.board": "local"})
    made = run_local("door", MODEL_URI)
    assert made["proof"].keys() >= {"golden_drift", "latency_ms", "latency_ms_p99"}
    assert [found["name"] for found in get_deploy_client("nas-edge://local").list_deployments()] == ["door"]


@pytest.mark.usefixtures("client")
def test_command_line_creates_and_lists() -> None:
    """MLflow's own command line drives the plugin."""
    words, target = ["deployments"], ["-t", "nas-edge://fake"]
    made = CliRunner().invoke(mlflow_cli, [*words, "create", *target, "--name", "door", "-m", MODEL_URI])
    assert (made.exit_code, "door is created" in made.output) == (0, True)
    assert "door" in CliRunner().invoke(mlflow_cli, [*words, "list", *target]).output


@pytest.mark.usefixtures("client")
def test_the_command_line_prints_one_sentence() -> None:
    """MLflow's command line shows our error without a traceback, and fails."""
    words = ["deployments", "update", "-t", "nas-edge://fake", "--name", "door", "-C", "rollback=true"]
    done = CliRunner().invoke(mlflow_cli, words)
    assert done.exit_code == 1
    assert done.output == (
        "Error: device fake, rollback: door has no previous version on the device: deploy the version you "
        "want. Nothing is active as door on fake.\n"
    )


def test_help_and_import_are_light() -> None:
    """Importing the plugin loads no torch, and its help names the target."""
    code = "import sys, mlflow_nas.deployments; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "nas-edge://" in target_help()

"""The plugin nas-edge with an MLflow store on sqlite."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli as mlflow_cli
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlflow_nas.deployments import Options, deploy, run_local, target_help
from mlflow_nas.deployments.release import run_address
from mlflow_nas.errors import ConfigError

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
    assert found["session"]["execution_mode"] == "ORT_SEQUENTIAL"
    assert (found["session"]["threads"], found["session"]["config_entries"]) == (1, {})
    run_id = client.get_model_version("person-detector", "1").run_id
    assert found["run"] == f"{client.tracking_uri} runs:/{run_id}"
    edge.update_deployment("door", MODEL_URI)
    assert [deployment["name"] for deployment in edge.list_deployments()] == ["door"]
    edge.delete_deployment("door")
    edge.delete_deployment("door")
    assert edge.list_deployments() == []


@pytest.mark.usefixtures("client")
def test_create_and_update_name_each_other() -> None:
    """The error of a second create names update, that of an update without deployment create."""
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
        ({"froce": "true"}, "Unknown option -C froce: known are force, max_regression, max_drop, threshold"),
        ({"threshold": "1.5"}, r"-C threshold=1.5: give a number in 0\.\.1"),
        ({"force": "yes"}, "-C force=yes: give true or false"),
        ({"max_regression": "-1"}, "-C max_regression=-1: give a share of at least 0"),
        ({"max_regression": "nan"}, "-C max_regression=nan: give a share"),
        ({"rollback": "true"}, "Unknown option -C rollback: known are force"),
    ],
)
def test_an_invalid_option_is_refused(config: dict[str, str], sentence: str) -> None:
    """With name, value and bound."""
    with pytest.raises(MlflowException, match=sentence):
        get_deploy_client("nas-edge://fake").create_deployment("door", MODEL_URI, config=config)


def test_deployed_versions_are_tagged(client: MlflowClient, register: Register) -> None:
    """The active version has name and raw latency, a replaced or removed one has no tags."""

    def tags(version: str) -> dict[str, str]:
        found = client.get_model_version("person-detector", version).tags
        return {name: value for name, value in found.items() if name.startswith("deploy.")}

    edge = get_deploy_client("nas-edge://fake")
    made = edge.create_deployment("door", MODEL_URI)
    assert tags("1") == {
        "deploy.fake": "door",
        "deploy.fake.latency_raw_ms": str(made["verification"]["latency_raw_ms"]),
    }
    register()
    edge.update_deployment("door", MODEL_URI)
    assert (tags("1"), tags("2").keys()) == ({}, {"deploy.fake", "deploy.fake.latency_raw_ms"})
    edge.update_deployment("door", config={"rollback": "true"})
    assert (tags("1")["deploy.fake"], tags("2")) == ("door", {})
    edge.delete_deployment("door")
    assert tags("1") == {}


@pytest.mark.usefixtures("client")
def test_a_deployment_with_a_damaged_manifest_can_be_deleted(tmp_path: Path) -> None:
    """As its error says; the other deployments are listed meanwhile."""
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


def test_the_manifest_has_the_url_of_the_runs_page() -> None:
    """So that a browser finds the run from the device; without a run there is none."""
    run = SimpleNamespace(info=SimpleNamespace(experiment_id="7"))
    client: Any = SimpleNamespace(tracking_uri="http://host:5000/", get_run=lambda _: run)
    assert (
        run_address(client, "abc")
        == "http://host:5000/#/experiments/7/runs/abc?workflowType=machine_learning"
    )
    assert run_address(client, None) is None


def test_an_unreachable_server_after_the_switch_is_a_warning(
    client: MlflowClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The device has the version; the missing tags are in the log."""

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


def test_run_local_verifies_on_this_machine_and_installs_nothing(register: Register) -> None:
    """It needs no target, and can be repeated; the device verifies the model in processes of its own."""
    register(**{"nas.board": "local"})
    for _ in range(2):
        made = run_local("door", MODEL_URI)
    assert made["verification"].keys() >= {"golden_drift", "latency_raw_ms", "latency_raw_ms_p99"}
    assert (made["name"], made["flavor"]) == ("door", "onnx")
    assert get_deploy_client("nas-edge://local").list_deployments() == []


def test_errors_have_mlflows_codes(client: MlflowClient) -> None:
    """Callers tell what is missing from what exists and from a wrong value."""
    edge = get_deploy_client("nas-edge://fake")

    def code(call: Callable[[], object]) -> str:
        with pytest.raises(MlflowException) as raised:
            call()
        return str(raised.value.error_code)

    assert code(lambda: edge.get_deployment("door")) == "RESOURCE_DOES_NOT_EXIST"
    assert code(lambda: edge.update_deployment("door", MODEL_URI)) == "RESOURCE_DOES_NOT_EXIST"
    assert code(lambda: edge.create_deployment("door", "models:/cats@champion")) == "RESOURCE_DOES_NOT_EXIST"
    assert (
        code(lambda: edge.create_deployment("door", MODEL_URI, flavor="sklearn")) == "INVALID_PARAMETER_VALUE"
    )
    assert (
        code(lambda: edge.create_deployment("door", MODEL_URI, config={"x": 1})) == "INVALID_PARAMETER_VALUE"
    )
    edge.create_deployment("door", MODEL_URI)
    client.set_model_version_tag("person-detector", "1", "nas.sha256", "a download would be refused")
    assert code(lambda: edge.create_deployment("door", MODEL_URI)) == "RESOURCE_ALREADY_EXISTS"


def test_a_model_that_is_not_registered_needs_force_and_a_name(client: MlflowClient) -> None:
    """Any model URI is taken then; no version is tagged."""
    source = client.get_model_version("person-detector", "1").source
    with pytest.raises(ConfigError, match="is no registered version, so nothing is known of its latency"):
        deploy(client, source, device="fake", name="door")
    with pytest.raises(ConfigError, match="force=true and a name for the deployment"):
        deploy(client, source, device="fake", options=Options(force=True))
    made = deploy(client, source, device="fake", name="door", options=Options(force=True))
    assert (made["registered"], made["model"], len(made["version"])) == (False, "door", 12)
    assert made["verification"].keys() >= {"golden_drift", "latency_raw_ms"}


def test_a_less_accurate_version_is_refused_by_max_drop(client: MlflowClient, register: Register) -> None:
    """Against the active version, where both were measured on the same data."""
    register(**{"nas.dataset": "d@1"})
    deploy(client, "person-detector", device="fake")
    register(map="0.42", **{"nas.dataset": "d@1"})
    with pytest.raises(
        ConfigError, match=r"has map 0.42, the active version 2 0.5: max_drop allows 0.05 less"
    ):
        deploy(client, "person-detector", device="fake")
    assert deploy(client, "person-detector", device="fake", options=Options(max_drop=0.1))["version"] == "3"
    register(map="0.3", **{"nas.dataset": "e@2"})
    assert (
        deploy(client, "person-detector", device="fake", options=Options(threshold=0.7))["output"][
            "score_threshold"
        ]
        == 0.7
    )


@pytest.mark.usefixtures("client")
def test_command_line_creates_and_lists() -> None:
    """MLflow's own command line drives the plugin."""
    words, target = ["deployments"], ["-t", "nas-edge://fake"]
    made = CliRunner().invoke(mlflow_cli, [*words, "create", *target, "--name", "door", "-m", MODEL_URI])
    assert (made.exit_code, "door is created" in made.output) == (0, True)
    assert "door" in CliRunner().invoke(mlflow_cli, [*words, "list", *target]).output


@pytest.mark.usefixtures("client")
def test_the_command_line_prints_an_error_without_traceback() -> None:
    """And exits with 1."""
    words = ["deployments", "update", "-t", "nas-edge://fake", "--name", "door", "-C", "rollback=true"]
    done = CliRunner().invoke(mlflow_cli, words)
    assert done.exit_code == 1
    assert done.output == (
        "Error: device fake, rollback: door has no previous version on the device: deploy the version you "
        "want. Nothing is active as door on fake.\n"
    )


def test_the_help_names_target_and_options() -> None:
    """What `mlflow deployments help -t nas-edge` prints."""
    assert all(word in target_help() for word in ("nas-edge://DEVICE", "max_regression", "rollback=true"))

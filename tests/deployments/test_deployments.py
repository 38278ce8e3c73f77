"""The plugin nas-edge against a real MLflow store on sqlite."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from onnx import TensorProto, helper

from mlflow_nas.deployments import deploy, run_local, target_help

MODEL_URI = "models:/person-detector@champion"


def _write_model(path: Path, precision: str) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [5, 3, 1, 1], np.full(15, 0.01, np.float32))
    node = helper.make_node("Conv", ["images", "w"], ["detections"], strides=[16, 16])
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 48])
    found = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 5, 2, 3])
    graph = helper.make_graph([node], "detector", [given], [found], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    said = {"classes": '["person"]', "architecture": '{"groups": 2}', "precision": precision}
    helper.set_model_props(model, {f"mlflow_nas.{name}": value for name, value in said.items()})
    onnx.save(model, path)


def _register(client: MlflowClient, folder: Path, *, precision: str = "int8", sha256: str = "") -> None:
    folder.mkdir()
    file = folder / "model.onnx"
    _write_model(file, precision)
    run = client.create_run("0").info
    if not client.search_registered_models("name='person-detector'"):
        client.create_registered_model("person-detector")
    tags = {"nas.sha256": sha256 or hashlib.sha256(file.read_bytes()).hexdigest()}
    tags |= {"map": "0.5", "map_50": "0.8", "latency_ms": "4.5", "nas.board": "local"}
    made = client.create_model_version("person-detector", folder.as_uri(), run.run_id, tags=tags)
    client.set_registered_model_alias("person-detector", "champion", made.version)


@pytest.fixture
def client(tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """A store whose champion is an int8 detector."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    client = MlflowClient(tracking_uri)
    _register(client, tmp_path / "first")
    return client


def test_life_of_a_deployment(client: MlflowClient) -> None:
    """Create, get, list, update and delete, with the manifest on the device and a tag on the version."""
    edge = get_deploy_client("nas-edge://fake")
    made = edge.create_deployment("door", MODEL_URI)
    assert (made["name"], made["flavor"], made["version"]) == ("door", "onnx", "1")
    found = edge.get_deployment("door")
    assert (found["input_size"], found["classes"]) == ([32, 48], ["person"])
    assert found["metrics"]["map_50"] == 0.8
    assert client.get_model_version("person-detector", "1").tags["deploy.fake"] == "door"
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
def test_unknown_option_is_refused() -> None:
    """A -C key other than force is refused by name."""
    with pytest.raises(MlflowException, match="Unknown option -C froce: known are force"):
        get_deploy_client("nas-edge://fake").create_deployment("door", MODEL_URI, config={"froce": "true"})


def test_float_model_needs_force(client: MlflowClient, tmp_path: Path) -> None:
    """A file that is not int8 is deployed with force=true only."""
    _register(client, tmp_path / "second", precision="fp32")
    edge = get_deploy_client("nas-edge://fake")
    with pytest.raises(MlflowException, match="is fp32, not int8"):
        edge.create_deployment("door", MODEL_URI)
    assert edge.create_deployment("door", MODEL_URI, config={"force": "true"})["version"] == "2"


def test_changed_file_is_refused_and_the_old_version_stays(client: MlflowClient, tmp_path: Path) -> None:
    """A file whose sha256 is not the measured one never reaches the device."""
    edge = get_deploy_client("nas-edge://fake")
    edge.create_deployment("door", MODEL_URI)
    _register(client, tmp_path / "second", sha256="0" * 64)
    with pytest.raises(MlflowException, match="it was changed since"):
        edge.update_deployment("door", MODEL_URI)
    assert edge.get_deployment("door")["version"] == "1"


def test_bare_model_name_means_its_champion(client: MlflowClient) -> None:
    """`deploy` creates, then updates, under the registered model's name."""
    for _ in range(2):
        assert deploy(client, "person-detector", device="fake")["name"] == "person-detector"


@pytest.mark.usefixtures("client")
def test_run_local_deploys_to_this_machine() -> None:
    """run_local needs no target; the local device runs the model in its own process."""
    assert run_local("door", MODEL_URI)["name"] == "door"
    assert [found["name"] for found in get_deploy_client("nas-edge://local").list_deployments()] == ["door"]


@pytest.mark.usefixtures("client")
def test_command_line_creates_and_lists() -> None:
    """MLflow's own command line drives the plugin."""
    base = [sys.executable, "-m", "mlflow", "deployments"]
    target = ["-t", "nas-edge://fake"]
    subprocess.run([*base, "create", *target, "--name", "door", "-m", MODEL_URI], check=True)
    listed = subprocess.run([*base, "list", *target], check=True, capture_output=True, text=True)
    assert "door" in listed.stdout


def test_help_and_import_are_light() -> None:
    """Importing the plugin loads no torch, and its help names the target."""
    code = "import sys, mlflow_nas.deployments; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert "nas-edge://" in target_help()

"""Deployments to a device behind a real OpenSSH server."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException

from mlflow_nas.board import get_board
from mlflow_nas.deployments import switch as switch_module

MODEL_URI = "models:/person-detector@champion"

Register = Callable[..., str]

pytestmark = pytest.mark.services


@pytest.mark.usefixtures("ssh_home")
def test_life_of_a_deployment_over_ssh(
    store: MlflowClient,
    register: Register,
    inventory: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proved there, activated, refused by the application, replaced, rolled back and deleted."""
    monkeypatch.setattr(switch_module, "get_board", lambda device: get_board(device, budget_s=0.1))
    note = tmp_path / "note"
    fields = {"transport": "ssh", "host": "board", "python": [sys.executable]}
    health = "test $MLFLOW_NAS_VERSION != 2"
    activate = ["sh", "-c", f"echo $MLFLOW_NAS_VERSION >> {note}"]
    inventory(gate={**fields, "activate": activate, "health": ["sh", "-c", health]})
    monkeypatch.setitem(switch_module.DeployedModels.__init__.__kwdefaults__, "health_s", 0.2)
    edge = get_deploy_client("nas-edge://gate")
    register(**{"nas.board": "gate"})
    made = edge.create_deployment("door", MODEL_URI)
    assert made["proof"].keys() >= {"golden_drift", "latency_ms"}
    assert (tmp_path / f"gate/deployed/door/models/{made['sha256']}.onnx").is_file()
    register(**{"nas.board": "gate"})
    with pytest.raises(MlflowException, match=r"health \(sh .*Version 1 is active again"):
        edge.update_deployment("door", MODEL_URI, config={"max_regression": "9"})
    register(**{"nas.board": "gate"})
    updated = edge.update_deployment("door", MODEL_URI, config={"max_regression": "9"})
    assert (updated["version"], updated["previous"]["version"]) == ("3", "1")
    assert updated["proof"]["ratio_to_active"] > 0
    assert edge.update_deployment("door", config={"rollback": "true"})["version"] == "1"
    assert note.read_text("utf-8").split() == ["1", "2", "1", "3", "1"]
    assert store.get_model_version("person-detector", "1").tags["deploy.gate"] == "door"
    edge.delete_deployment("door")
    assert edge.list_deployments() == []
    assert list((tmp_path / "gate/staging").iterdir()) == []

"""Deployments to a device behind an OpenSSH server."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client

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
    """Verified, activated, replaced, rolled back and deleted."""
    monkeypatch.setattr(switch_module, "get_board", lambda device: get_board(device, budget_s=0.05))
    log = tmp_path / "log"
    fields = {"transport": "ssh", "host": "board", "python": [sys.executable]}
    activate = ["sh", "-c", f"echo $MLFLOW_NAS_VERSION >> {log}"]
    inventory(gate={**fields, "activate": activate, "health": "true"})
    edge = get_deploy_client("nas-edge://gate")
    register(**{"nas.board": "gate"})
    made = edge.create_deployment("door", MODEL_URI)
    assert made["verification"].keys() >= {"golden_drift", "latency_raw_ms"}
    assert (tmp_path / f"gate/deployed/door/models/{made['sha256']}.onnx").is_file()
    register(**{"nas.board": "gate"})
    updated = edge.update_deployment("door", MODEL_URI, config={"max_regression": "9"})
    assert (updated["version"], updated["previous"]["version"]) == ("2", "1")
    assert updated["verification"]["ratio_to_active"] > 0
    assert edge.update_deployment("door", config={"rollback": "true"})["version"] == "1"
    assert log.read_text("utf-8").split() == ["1", "2", "1"]
    assert store.get_model_version("person-detector", "1").tags["deploy.gate"] == "door"
    edge.delete_deployment("door")
    assert edge.list_deployments() == []
    assert list((tmp_path / "gate/staging").iterdir()) == []

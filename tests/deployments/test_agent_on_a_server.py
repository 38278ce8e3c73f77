"""An agent polls a real MLflow server with logins, and tags versions there."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient
from small_detectors import write_golden_samples, write_model

from mlflow_nas import api
from mlflow_nas.board.runtime import prove
from mlflow_nas.board.runtime.agent import poll
from mlflow_nas.board.runtime.failure import Failure

if TYPE_CHECKING:
    from mlflow_stack import MlflowStack

pytestmark = pytest.mark.services

MODEL = "pulled"
STABLE = {**dict.fromkeys(("p50_ms", "p90_ms", "p99_ms"), 2.0), "unstable": False, "unstable_cause": ""}


@pytest.fixture
def client(mlflow_stack: "MlflowStack", monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MlflowClient:
    """The user's client, in a folder of the test's own."""
    for name, value in mlflow_stack.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(prove, "time_", lambda *_args, **_kwargs: dict(STABLE))
    return MlflowClient(mlflow_stack.url)


def _register(client: MlflowClient, folder: Path, gain: float, drift: float) -> str:
    """One more version with its files on the server; it becomes the champion."""
    folder.mkdir()
    file = folder / "model.onnx"
    write_model(file, "int8", (32, 48), gain)
    write_golden_samples(file, (32, 48), drift)
    experiment = client.get_experiment_by_name(MODEL)
    run = client.create_run(experiment.experiment_id if experiment else client.create_experiment(MODEL)).info
    client.log_artifacts(run.run_id, str(folder), "model")
    if not client.search_registered_models(f"name='{MODEL}'"):
        client.create_registered_model(MODEL)
    tags = {"nas.sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "nas.board": "fake"}
    tags |= {"map": "0.5", "map_50": "0.8", "latency_ms": "4.5", "latency_raw_ms": "5.0"}
    made = client.create_model_version(MODEL, f"{run.artifact_uri}/model", run.run_id, tags=tags)
    client.set_registered_model_alias(MODEL, "champion", made.version)
    return str(made.version)


def test_an_agent_follows_the_champion(
    client: MlflowClient, mlflow_stack: "MlflowStack", tmp_path: Path
) -> None:
    """With a login of its own; a refused version is visible there, and a wrong password changes nothing."""
    secret, config = tmp_path / "secret", tmp_path / "gate/agent/door.json"
    secret.write_text(f"{mlflow_stack.user}:{mlflow_stack.password}\n", encoding="utf-8")
    config.parent.mkdir(parents=True)
    source = {"mlflow": mlflow_stack.url, "model": MODEL, "authorization": str(secret)}
    config.write_text(json.dumps({"device": "gate", "name": "door", "source": source}), encoding="utf-8")
    first = _register(client, tmp_path / "1", 0.01, 0.0)
    assert poll(str(config)) == {"state": "nothing"}
    api.publish(model=MODEL, name="door")
    assert poll(str(config))["state"] == "active"
    tags: dict[str, Any] = dict(client.get_model_version(MODEL, first).tags)
    assert (tags["deploy.gate"], tags["deploy.gate.latency_raw_ms"]) == ("door", "2.0")
    second = _register(client, tmp_path / "2", 0.02, 0.5)
    api.publish(model=MODEL, name="door")
    assert poll(str(config))["state"] == "refused"
    assert "other outputs" in client.get_model_version(MODEL, second).tags["deploy.gate.error"]
    third = _register(client, tmp_path / "3", 0.03, 0.0)
    api.publish(model=MODEL, name="door")
    secret.write_text(f"{mlflow_stack.user}:wrong", encoding="utf-8")
    with pytest.raises(Failure, match=r"returns 401 .*: check the agent's credentials"):
        poll(str(config))
    secret.write_text(f"{mlflow_stack.user}:{mlflow_stack.password}", encoding="utf-8")
    assert poll(str(config))["state"] == "active"
    assert "deploy.gate" not in client.get_model_version(MODEL, first).tags
    assert client.get_model_version(MODEL, third).tags["deploy.gate"] == "door"
    assert client.get_registered_model(MODEL).tags["nas.followed.gate"] == third

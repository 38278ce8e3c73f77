"""Deployments to the emulated arm64 board: real arm64 kernels, reached over real SSH."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from PIL import Image

from mlflow_nas.cli import main

Register = Callable[..., str]

pytestmark = [pytest.mark.board, pytest.mark.services]

MODEL = "models:/person-detector@champion"


@pytest.fixture
def photograph(tmp_path: Path) -> str:
    """A small picture."""
    path = tmp_path / "photograph.png"
    Image.effect_noise((96, 64), 64).convert("RGB").save(path)
    return str(path)


@pytest.fixture
def arm64(
    arm64_inventory: Path,
    ssh_home: Path,  # noqa: ARG001 - it knows the host
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> MlflowClient:
    """The champion is version 1; nothing is deployed on the emulated board."""
    monkeypatch.setenv("MLFLOW_NAS_DEVICES", str(arm64_inventory))
    shutil.rmtree(arm64_inventory.with_name("root") / "nas/deployed", ignore_errors=True)
    return client


def test_deploy_and_roll_back_on_arm64(arm64: MlflowClient, register: Register, photograph: str) -> None:
    """arm64 kernels pass the golden samples of the host; no time of theirs is written anywhere."""
    edge = get_deploy_client("nas-edge://arm64")
    with pytest.raises(
        MlflowException,
        match=r"on the board fake, not on arm64: no search measures on an emulated board, so give",
    ):
        edge.create_deployment("door", MODEL)
    made = edge.create_deployment("door", MODEL, config={"force": "true"})
    assert made["proof"].keys() == {"golden_drift"}
    register()
    assert edge.update_deployment("door", MODEL, config={"force": "true"})["version"] == "2"
    found = json.loads(edge.predict("door", {"image": [photograph]}).to_json())["predictions"]
    assert [answer.keys() for answer in found] == [{"boxes", "scores", "classes"}]
    said = CliRunner().invoke(main, ["rollback", "--device", "arm64", "--name", "door"])
    assert said.output.startswith("door is version 1 of person-detector again"), said.output
    tags = arm64.get_model_version("person-detector", "1").tags
    assert tags["deploy.arm64"] == "door"
    assert "deploy.arm64.latency_ms" not in tags

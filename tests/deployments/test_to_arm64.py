"""Deployments to the emulated arm64 board, over SSH."""

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

pytestmark = pytest.mark.board

MODEL = "models:/person-detector@champion"


@pytest.fixture
def image(tmp_path: Path) -> str:
    """A small image file."""
    path = tmp_path / "image.png"
    Image.effect_noise((96, 64), 64).convert("RGB").save(path)
    return str(path)


@pytest.fixture
def arm64(
    arm64_inventory: Path,
    ssh_home: Path,  # noqa: ARG001 - it has the host key
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
) -> MlflowClient:
    """The champion is version 1; nothing is deployed on the emulated board."""
    monkeypatch.setenv("MLFLOW_NAS_DEVICES", str(arm64_inventory))
    shutil.rmtree(arm64_inventory.with_name("root") / "nas/deployed", ignore_errors=True)
    return client


def test_deploy_and_roll_back_on_arm64(arm64: MlflowClient, register: Register, image: str) -> None:
    """arm64 kernels pass the golden samples of the host; none of their times is recorded."""
    edge = get_deploy_client("nas-edge://arm64")
    with pytest.raises(
        MlflowException,
        match=r"on the board fake, not on arm64: no search measures on an emulated board, so give",
    ):
        edge.create_deployment("door", MODEL)
    made = edge.create_deployment("door", MODEL, config={"force": "true"})
    assert made["verification"].keys() == {"golden_drift"}
    register()
    assert edge.update_deployment("door", MODEL, config={"force": "true"})["version"] == "2"
    found = json.loads(edge.predict("door", {"image": [image]}).to_json())["predictions"]
    assert [answer.keys() for answer in found] == [{"boxes", "scores", "classes"}]
    done = CliRunner().invoke(main, ["rollback", "--device", "arm64", "--name", "door"])
    assert done.output.startswith("door is version 1 of person-detector again"), done.output
    tags = arm64.get_model_version("person-detector", "1").tags
    assert tags["deploy.arm64"] == "door"
    assert "deploy.arm64.latency_raw_ms" not in tags

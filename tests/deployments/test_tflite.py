"""A version whose file is TFLite: deployed, run, described, rolled back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from mlflow_nas.deployments import EdgeDeploymentClient, deploy, rollback

IMAGE = np.full((40, 60, 3), 200, np.uint8)


@pytest.fixture
def litert(inventory: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An inventory with a device of LiteRT."""
    inventory(pi={"runtime": "litert"})
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("litert")
def test_a_tflite_version_is_deployed_run_and_rolled_back(
    store: MlflowClient, register: Callable[..., str]
) -> None:
    """The manifest names the runtime, its version, the input and the outputs of the file."""
    for _ in range(2):
        register(img_size=(32, 32), suffix=".tflite", **{"nas.board": "pi"})
    deploy(store, "person-detector", device="pi")
    register(img_size=(48, 48), suffix=".tflite", **{"nas.board": "pi"})
    manifest = deploy(store, "person-detector", device="pi")
    assert (manifest["runtime"], manifest["format"], manifest["version"]) == ("litert", "tflite", "3")
    assert manifest["versions"]["litert"]
    assert (manifest["input"]["contract"], manifest["input"]["zero_point"]) == ("int8-nhwc-rgb", -128)
    assert [part["name"] for part in manifest["output"]["tensors"]["parts"]] == ["objectness", "box"]
    assert manifest["verification"]["golden_drift"] == 0
    (answer,) = EdgeDeploymentClient("nas-edge://pi").predict("person-detector", IMAGE)["predictions"]
    assert set(answer) == {"boxes", "scores", "classes"}
    assert rollback("pi", "person-detector")["input_size"] == [32, 32]

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from mlflow import MlflowClient
from onnx import TensorProto, helper
from relay import Relay
from tracking_samples import OBJECTIVES, study_run

from mlflow_nas.tracking import Mirror, StudyRun, connect, experiment_id


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """A client of the test's own store."""
    return connect(tracking_uri)


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    """An experiment of the test's own store."""
    return experiment_id(client, "nas")


@pytest.fixture
def open_mirror(tracking_uri: str, tmp_path: Path) -> Iterator[Callable[..., Mirror]]:
    """Opens mirrors of the study "pf" on the test's own store; closes them at the end."""
    opened: list[Mirror] = []

    def open_one(study: StudyRun | None = None, **changes: Any) -> Mirror:
        plain = {"tracking_uri": tracking_uri, "folder": tmp_path / "outbox", "objectives": OBJECTIVES}
        opened.append(Mirror(study=study or study_run(), **{**plain, **changes}))
        return opened[-1]

    yield open_one
    for mirror in opened:
        mirror.close()


@pytest.fixture
def int8_file(tmp_path: Path) -> Path:
    """A small ONNX file whose bytes ONNX itself would write in another order."""
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 48])
    detections = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 3, 2, 3])
    pool = helper.make_node(
        "AveragePool", ["images"], ["detections"], kernel_shape=[16, 16], strides=[16, 16]
    )
    graph = helper.make_graph([pool], "detector", [images], [detections])
    opset = helper.make_opsetid("", 17)
    network = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    path = tmp_path / "model.int8.onnx"
    path.write_bytes(network + onnx.ModelProto(producer_name="appended").SerializeToString())
    return path


@pytest.fixture
def relay(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The MLflow server, at an address that answers only while the relay is up."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    found = Relay(mlflow_server)
    yield found
    found.down()

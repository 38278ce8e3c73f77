from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest
from mlflow import MlflowClient
from onnx import TensorProto, helper

from mlflow_nas.tracking import connect, experiment_id


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """A client of the test's own store."""
    return connect(tracking_uri)


@pytest.fixture
def experiment(client: MlflowClient) -> str:
    """An experiment of the test's own store."""
    return experiment_id(client, "nas")


@pytest.fixture
def photographs() -> SimpleNamespace:
    """A data set as tracking sees it."""
    return SimpleNamespace(name="penn-fudan", digest="0123456789ab", uri="coco:penn-fudan")


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

"""Small ONNX files, made without torch; SSH proxies that break connections."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from ssh_server import FlakyProxy, SshServer

Model = Callable[[int], Path]


@pytest.fixture
def make_model(tmp_path: Path) -> Model:
    """A convolution from [1, 3, 32, 48] to [1, channels, 2, 3], one file per number of channels."""

    def make(channels: int) -> Path:
        values = np.random.default_rng(channels).random(channels * 27).astype(np.float32)
        weights = helper.make_tensor("w", TensorProto.FLOAT, [channels, 3, 3, 3], values)
        node = helper.make_node("Conv", ["images", "w"], ["detections"], strides=[16, 16], pads=[1, 1, 1, 1])
        given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 48])
        found = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, channels, 2, 3])
        graph = helper.make_graph([node], "detector", [given], [found], [weights])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path = tmp_path / f"model-{channels}.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture
def proxy(ssh_server: SshServer, ssh_home: Path) -> Iterator[Callable[..., FlakyProxy]]:
    """Makes proxies to the SSH server, with its host key in known_hosts."""
    made: list[FlakyProxy] = []

    def make(*limits: int, port: int = 0) -> FlakyProxy:
        made.append(FlakyProxy(ssh_server.port, limits, port))
        with (ssh_home / ".ssh/known_hosts").open("a", encoding="utf-8") as file:
            file.write(f"[127.0.0.1]:{made[-1].port} {ssh_server.host_key}\n")
        return made[-1]

    yield make
    for one in made:
        one.close()

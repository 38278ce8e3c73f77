"""Model files, weights, inventories and configurations that are damaged are refused in one sentence."""

import io
import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import NASTY, damaged, fuzz, one_sentence
from onnx import TensorProto, helper, numpy_helper
from stand_in import write_stand_in

from mlflow_nas.config import EvaluateConfig, load_config, load_devices
from mlflow_nas.errors import ConfigError, NasError
from mlflow_nas.export.model_files import read_model
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import load_backbone_weights, load_seed_weights


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small detector's file."""
    return write_stand_in(tmp_path_factory.mktemp("standin"))[0].read_bytes()


@fuzz(60)
@given(data=st.data())
def test_damaged_models(model: bytes, tmp_path: Path, data: st.DataObject) -> None:
    """By ONNX and by ONNX Runtime; one that still opens runs or says why not."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data.draw(damaged(model)))
    one_sentence(lambda: read_model(path))
    one_sentence(lambda: OnnxDetector(path)(np.zeros((1, 3, 32, 48), np.float32)))


def _detector(path: Path, *, size: int, output: int = 2) -> onnx.ModelProto:
    """A detector of that input size, which resizes a mean to that output size."""
    shape = numpy_helper.from_array(np.array([1, 6, output, output]), "shape")
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=1),
        helper.make_node("Expand", ["mean", "shape"], ["out"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, size, size])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 6, output, output])
    graph = helper.make_graph(nodes, "main", [images], [out], [shape])
    found = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)])
    path.write_bytes(found.SerializeToString())
    return found


def test_huge_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    """Before memory is asked for."""
    path = tmp_path / "huge.onnx"
    _detector(path, size=20_000)
    with pytest.raises(ConfigError, match=r"takes images of 20000 x 20000 pixels, 4096 is the largest side"):
        OnnxDetector(path)
    with pytest.raises(
        ConfigError, match=r"the input images is 1x3x20000x20000, 50331648 values is the most"
    ):
        read_model(path)
    _detector(path, size=64, output=50_000)
    with pytest.raises(ConfigError, match=r"gives 1x6x50000x50000 values, 268435456 are the most"):
        OnnxDetector(path)


@pytest.mark.parametrize("location", ["gone.bin", "../../etc/passwd", "/etc/passwd"])
def test_weights_outside_of_a_model_stay_in_its_folder(location: str, tmp_path: Path) -> None:
    """Missing ones, and those of another folder."""
    path = tmp_path / "external.onnx"
    found = _detector(path, size=64)
    tensor = found.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(found.SerializeToString())
    with pytest.raises(ConfigError, match=r"external\.onnx can't be read as an ONNX model"):
        read_model(path)
    with pytest.raises(ConfigError, match=r"ONNX Runtime can't read the model file .*external\.onnx"):
        OnnxDetector(path)


def test_nodes_of_an_unknown_domain_are_refused(tmp_path: Path) -> None:
    """ONNX Runtime names them."""
    path = tmp_path / "domain.onnx"
    found = _detector(path, size=64)
    found.graph.node[0].domain = "my.own"
    found.opset_import.add(domain="my.own", version=1)
    path.write_bytes(found.SerializeToString())
    with pytest.raises(ConfigError, match=r"ONNX Runtime can't read the model file .*my\.own"):
        OnnxDetector(path)


@pytest.mark.parametrize("read", [read_model, OnnxDetector, load_seed_weights, load_backbone_weights])
def test_a_pipe_given_as_a_model_is_not_waited_for(read: object, tmp_path: Path) -> None:
    """Nobody writes into it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"pipe (is no regular file|does not exist)"):
        read(path)  # type: ignore[operator]  # a reader


@fuzz(60)
@given(data=st.data())
def test_damaged_weights(tmp_path: Path, data: st.DataObject) -> None:
    """Torch and pickle raise nearly anything."""
    stream = io.BytesIO()
    torch.save(
        {"head.classes.0.weight": torch.zeros(2, 3, 1, 1), "head.classes.0.bias": torch.zeros(2)}, stream
    )
    path = tmp_path / "weights.pth"
    path.write_bytes(data.draw(damaged(stream.getvalue())))
    one_sentence(lambda: load_seed_weights(path))
    one_sentence(lambda: load_backbone_weights(path))


@pytest.mark.parametrize("content", [{1: torch.zeros(1)}, [1, 2], {"a": {"b": 1}}, "text"])
def test_what_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    """Names that are no text, other objects, and text."""
    path = tmp_path / "weights.pth"
    path.write_text(content) if isinstance(content, str) else torch.save(content, path)
    for read in (load_seed_weights, load_backbone_weights):
        with pytest.raises(ConfigError, match=r"weights\.pth (holds no|can't be read as a) state dict"):
            read(path)


INVENTORY = (
    b"devices:\n  pi:\n    transport: ssh\n    host: pi.local\n    port: 22\n    python: python3 -m venv\n"
)
CONFIGURATION = b"weights: a.pth\ndata:\n  uri: coco:there\n  classes: [person, dog]\nimg_width: 320\n"


@fuzz(80)
@given(content=damaged(INVENTORY))
def test_damaged_inventories(tmp_path: Path, content: bytes) -> None:
    """devices.yaml is written by hand."""
    path = tmp_path / "devices.yaml"
    path.write_bytes(content)
    one_sentence(lambda: load_devices(path))


@fuzz(80)
@given(content=damaged(CONFIGURATION))
def test_damaged_configurations(tmp_path: Path, content: bytes) -> None:
    """So are configurations."""
    path = tmp_path / "study.yaml"
    path.write_bytes(content)
    one_sentence(lambda: load_config(EvaluateConfig, {}, file=path))


@fuzz(80)
@given(
    name=st.sampled_from(["weights", "img_width", "data", "split", "set", "classes"]),
    value=st.sampled_from(NASTY),
)
def test_settings_of_anything(name: str, value: object) -> None:
    """Values of any type, from Python."""
    one_sentence(lambda: load_config(EvaluateConfig, {"onnx": "a.onnx", name: value}, file=None))


def test_the_sentence_of_an_inventory_with_a_null_character_names_it(tmp_path: Path) -> None:
    """YAML has no such character."""
    path = tmp_path / "devices.yaml"
    path.write_bytes(INVENTORY.replace(b"pi.local", b"a\0b"))
    with pytest.raises(NasError, match=r"devices\.yaml is not YAML: unacceptable character"):
        load_devices(path)

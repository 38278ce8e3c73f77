import hashlib
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from mlflow_nas.errors import CandidateError, ConfigError, MachineError
from mlflow_nas.export import model_sha256
from mlflow_nas.export.model_files import read_model, set_metadata, write_model


@pytest.fixture
def model() -> onnx.ModelProto:
    taken = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2])
    given = helper.make_tensor_value_info("detections", TensorProto.FLOAT, [1, 2])
    node = helper.make_node("Relu", ["images"], ["detections"], name="detector/Relu")
    return helper.make_model(helper.make_graph([node], "main", [taken], [given]), ir_version=10)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond 16 bytes: nor pytest's own report, so only while it lasts."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_model_comes_back_as_it_was_written(model: onnx.ModelProto, tmp_path: Path) -> None:
    """The hash is that of the bytes, and nothing else is left in the folder."""
    path = write_model(model, tmp_path / "model.onnx")
    assert read_model(path) == model
    assert model_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert list(tmp_path.iterdir()) == [path]


def test_metadata_does_not_depend_on_its_order(model: onnx.ModelProto) -> None:
    """Entries are replaced and sorted, so that the same entries give the same bytes."""
    set_metadata(model, {"old": "1"})
    set_metadata(model, {"b": "2", "a": "1"})
    assert [(entry.key, entry.value) for entry in model.metadata_props] == [("a", "1"), ("b", "2")]


def test_a_full_disk_leaves_the_old_file_and_no_half_one(model: onnx.ModelProto, tmp_path: Path) -> None:
    """The sentence names the file and the remedy."""
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    refusal = r"model\.onnx can't be written: File too large\. Free some space"
    with full_disk(), pytest.raises(MachineError, match=refusal):
        write_model(model, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(model: onnx.ModelProto, tmp_path: Path) -> None:
    """Nothing is made up where the user named a folder that is not there."""
    with pytest.raises(ConfigError, match=r"nowhere/model\.onnx can't be written: No such file or directory"):
        write_model(model, tmp_path / "nowhere" / "model.onnx")


def test_an_invalid_model_is_never_written(model: onnx.ModelProto, tmp_path: Path) -> None:
    """A node that reads what nothing gives is refused before the file exists."""
    model.graph.node[0].input[0] = "nothing"
    with pytest.raises(CandidateError, match=r"makes no valid ONNX model \(model\.onnx\): .*nothing"):
        write_model(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"nonsense", "can't be read as an ONNX model"), (b"", "no ONNX graph")],
)
def test_a_file_that_is_no_model_is_named(content: bytes | None, reason: str, tmp_path: Path) -> None:
    """Missing, broken and empty files are the user's fault and say which file it is."""
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"model\.onnx.*{reason}.*Give a file of export_onnx"):
        read_model(path)

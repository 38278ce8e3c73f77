"""`profile` as a user calls it."""

import json
import os
import re
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.errors import ConfigError

CORES = os.cpu_count() or 1

pytestmark = pytest.mark.usefixtures("tracking_uri")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files and devices stay in the test's folder."""
    monkeypatch.setenv("MLFLOW_NAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Conv and Relu of [n, 3, 16, 16]."""
    weights = np.random.default_rng(0).random((8, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], name="/stem/conv/Conv"),
            helper.make_node("Relu", ["c"], ["y"], name="/stem/act/Relu"),
        ],
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8, 14, 14])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _profile(**options: Any) -> dict[str, Any]:
    return api.profile(board="fake", **options).as_json()


def test_any_onnx_file_is_profiled_in_float_and_int8(foreign: Path) -> None:
    """Tables, a chart, a run with metrics, facts and files; the same as JSON on the terminal."""
    words = ["profile", "--board", "fake", "--model", str(foreign), "--depth", "1", "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (stem,) = [row for row in found["modules"] if row["module"] == "stem"]
    assert stem["fp32_ms"] > 0
    assert stem["flops"] == 2 * 8 * 14 * 14 * 27
    assert Path(found["chart"]).read_bytes().startswith(b"\x89PNG")
    client = mlflow.MlflowClient()
    run = client.get_run(found["run_id"])
    assert (run.info.status, run.data.tags["nas.role"]) == ("FINISHED", "profile")
    assert run.data.metrics["profile_int8_run_ms"] == found["files"]["int8"]["run_ms"]
    assert run.data.tags["nas.board.machine"]
    stored = {file.path for file in client.list_artifacts(found["run_id"])}
    tables = {"modules.json", "operators.json", "nodes.json", "threads.json"}
    assert stored == {"profile.png", "profile.json", *tables}
    assert [row["threads"] for row in found["threads"]] == [one for one in (1, 2, 4) if one <= CORES]
    assert run.data.metrics["profile_int8_threads_1_ms"] == found["threads"][0]["int8_ms"] > 0


def test_a_sustained_load_shows_its_rate_over_time(foreign: Path) -> None:
    """On the terminal and in the run: runs a second at the end, how much less than at first."""
    words = ["profile", "--board", "fake", "--model", str(foreign), "--threads", "1", "--sustained", "0.3s"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert re.search(r"pause \(int8\): [\d.]+ runs a second at first, [\d.]+ at the end", done.stdout)
    (run,) = mlflow.MlflowClient().search_runs(["0", "1"], max_results=1)
    assert run.data.metrics["profile_sustained_runs_per_s"] > 0
    assert run.data.metrics["profile_sustained_drop"] < 1


def test_words_say_what_int8_makes_slower(foreign: Path) -> None:
    """The terminal shows both tables and the nodes that lose."""
    done = CliRunner().invoke(main, ["profile", "--board", "fake", "--model", str(foreign)])
    assert done.exit_code == 0, done.output
    for words in ("By module, the slowest first:", "int8_vs_fp32", "MFLOPs", "Nodes that int8 makes slower"):
        assert words in done.stdout


def test_a_given_int8_file_stands_beside_the_float_file(foreign: Path) -> None:
    """The second profile takes the file that the first one made; alone it is profiled alone."""
    made = _profile(model=str(foreign))["files"]["int8"]
    again = _profile(model=str(foreign), int8=made["path"])
    assert again["files"]["int8"]["sha256"] == made["sha256"]
    assert _profile(model=made["path"])["files"].keys() == {"int8"}


def test_a_model_that_cant_be_quantized_is_profiled_in_float(tmp_path: Path) -> None:
    """The sentence says why int8 is missing and how to give it."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["a", "b"], ["y"], name="add")],
        "two inputs",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("a", "b")],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])],
    )
    path = tmp_path / "add.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    found = _profile(model=str(path))
    assert found["files"].keys() == {"fp32"}
    assert "give one with --int8" in found["int8_missing"]


def test_an_emulated_board_is_labelled(foreign: Path, tmp_path: Path) -> None:
    """Nothing of it stands under a name of a time on hardware."""
    inventory = tmp_path / "devices.yaml"
    inventory.write_text("devices:\n  qemu: {transport: local, emulated: true}\n", encoding="utf-8")
    found = api.profile(board="qemu", model=str(foreign)).as_json()
    metrics = mlflow.MlflowClient().get_run(found["run_id"]).data.metrics
    assert found["emulated"]
    assert all(name.startswith("emulated_") for name in metrics)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": "no.onnx"}, "no.onnx can't be read as an ONNX model"),
        ({"shape": "x=big"}, "--shape 'x=big' is no shape: write NAME=1x3x320x320"),
        ({"arch": "channels=24"}, "--model is a network of its own: leave out --arch"),
        ({"model": "", "shape": "x=1x3x8x8"}, "--int8 and --shape describe the file of --model"),
        ({"threads": "0"}, "--threads '0': Input should be greater than or equal to 1"),
        ({"sustained": "x"}, "--sustained 'x': 'x' is no duration"),
        ({"depth": 0}, "--depth 0: Input should be greater than or equal to 1"),
    ],
)
def test_mistakes_are_one_sentence(foreign: Path, options: dict[str, Any], sentence: str) -> None:
    """Each names the value and what to write instead."""
    with pytest.raises(ConfigError, match=sentence):
        _profile(**{"model": str(foreign), **options})


def test_an_architecture_is_profiled_by_its_modules() -> None:
    """Without a file it is the space's detector; its FLOPs are those of the file, with its padded stem."""
    from mlflow_nas.estimate import complexity
    from mlflow_nas.space import build_detector, fastestdet_head

    found = _profile(arch="channels=24,img_width=220", depth=1)
    modules = {row["module"]: row for row in found["modules"]}
    assert {"backbone", "neck", "head"} <= modules.keys()
    space = fastestdet_head()
    network = build_detector({**space.baseline, "channels": 24, "img_width": 220}, num_classes=1)
    expected = complexity(network, (220, 220))["flops"]
    assert expected < sum(row["flops"] for row in found["modules"]) < 1.1 * expected

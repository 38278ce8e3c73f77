"""All that a measurement says stands in the trial's run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from mlflow import MlflowClient
from onnx import TensorProto, helper, numpy_helper

from mlflow_nas.board import get_board
from mlflow_nas.cli.words import trained_words
from mlflow_nas.report import study_description
from mlflow_nas.search.trial import _conclude
from mlflow_nas.tracking import connect, finish_trial, start_trial
from mlflow_nas.types import Device, Evaluation

TIMES = {"latency_ms", "latency_ms_p90", "latency_ms_p99", "latency_ms_min", "latency_ms_mean"}
PROTOCOL = {"latency_cv", "latency_spread", "latency_runs", "latency_attempts", "latency_ratio"}
CONDITIONS = {"load_1min", "load_1min_after", "memory_free_mb_after", "throttled", "preempted"}
VERSIONS = {"python", "numpy", "onnxruntime", "providers", "threads", "machine", "cores"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One convolution."""
    weights = np.random.default_rng(0).random((8, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="stem/Conv")],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8, 30, 30])],
        [numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "tiny.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _evaluated(model: Path, folder: Path, run_id: str, *, max_spread: float) -> Evaluation:
    """A trial's end, measured on this machine against the same file."""
    device = Device(name="local", transport="local", directory=str(folder / "device"))
    latency = get_board(device, budget_s=0.1, max_spread=max_spread).measure(model, baseline=model)
    bench = SimpleNamespace(max_latency_ms=None)
    candidate: Any = SimpleNamespace(bench=bench, number=0, key="k", architecture={}, run_id=run_id)
    return _conclude(candidate, {"map": 0.5}, latency)


@pytest.fixture
def client(tracking_uri: str) -> MlflowClient:
    """The client of the test's own store."""
    return connect(tracking_uri)


def _run(client: MlflowClient) -> str:
    return start_trial(
        client, experiment_id="0", parent_id=None, study=None, number=0, role="trial", name="k", tags={}
    )


def test_times_protocol_conditions_and_versions_are_logged(
    client: MlflowClient, model: Path, tmp_path: Path
) -> None:
    """Quantiles, ratio, how often and how steadily; clock, load, throttling before and after; versions."""
    run_id = _run(client)
    finish_trial(client, run_id, _evaluated(model, tmp_path, run_id, max_spread=9.0))
    data = client.get_run(run_id).data
    assert TIMES | PROTOCOL | {"baseline_latency_ms"} <= data.metrics.keys()
    facts = {name.removeprefix("nas.board.") for name in data.tags if name.startswith("nas.board.")}
    assert facts >= CONDITIONS | VERSIONS


def test_an_unstable_latency_is_said_wherever_it_stands(
    client: MlflowClient, model: Path, tmp_path: Path
) -> None:
    """In the run's tag, in the table on the terminal and in the study's description."""
    run_id = _run(client)
    evaluation = _evaluated(model, tmp_path, run_id, max_spread=-1.0)
    finish_trial(client, run_id, evaluation)
    assert client.get_run(run_id).data.tags["nas.latency_unstable"] == "true"
    assert " unstable" in trained_words({**evaluation.as_json(), "run_id": run_id})
    assert " (unstable)" in study_description([evaluation], experiment_id="0", settings={})

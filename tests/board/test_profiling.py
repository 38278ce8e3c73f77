"""Time by node, module and operator."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import (
    NodeCost,
    NodeTime,
    Profile,
    compare_profiles,
    get_board,
    pair_nodes,
    profile_files,
)
from mlflow_nas.board.profiling import module_path, node_time, restore_names
from mlflow_nas.board.runtime.failure import Failure
from mlflow_nas.board.runtime.profiler import read_events, summarize_events
from mlflow_nas.errors import BoardError
from mlflow_nas.types import Device

Model = Callable[[int], Path]


def _event(name: str, ts: float, dur: float, **args: object) -> dict[str, Any]:
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def _run(ts: float, dur: float) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


EVENTS = [
    {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 5, "args": {}},
    *(_run(10, 90), _event("a/Conv", 11, 80_000, op_name="Conv", node_index="0")),
    *(_run(100, 9_000), _event("a/Conv", 110, 1_000, op_name="Conv", node_index="0")),
    *(_event("loop", 120, 500, node_index="1"), _event("loop", 130, 500, node_index="1")),
    *(_run(10_000, 11_000), _event("a/Conv", 10_010, 3_000, op_name="Conv", node_index="0")),
]


def test_the_median_of_the_last_runs_is_taken() -> None:
    """The first run warms up; a node that runs twice in a run is summed, one that does not run is 0."""
    found = summarize_events(EVENTS, timed=2)
    assert (found["profiled_ms"], found["runs"]) == (10.0, 2)
    assert {node["name"]: node["ms"] for node in found["nodes"]} == {"a/Conv": 2.0, "loop": 0.5}


def test_a_truncated_profile_is_a_device_failure(tmp_path: Path) -> None:
    """A full disk leaves half a file; the message has the remedy."""
    half = tmp_path / "profile.json"
    half.write_text(json.dumps(EVENTS)[:50], encoding="utf-8")
    with pytest.raises(Failure, match=r"can't be read: .*free space"):
        read_events(str(half))


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("neck.fuse.0/Conv", "neck.fuse.0"),
        ("/model.0/conv/Conv", "model.0.conv"),
        ("/features/features.0/features.0.1/Conv", "features.0.1"),
        ("Conv_12", ""),
    ],
)
def test_module_paths_of_several_exporters(name: str, module: str) -> None:
    """Dots and slashes both separate; repeated prefixes are merged."""
    assert module_path(name) == module


def _reported(name: str, op: str, ms: float = 1.0) -> dict[str, Any]:
    sizes = {"activation_size": 10, "output_size": 20, "parameter_size": 3}
    return {"name": name, "op": op, "provider": "CPUExecutionProvider", "ms": ms, **sizes}


COSTS = dict.fromkeys(("neck.0/Conv", "neck.2/Relu"), NodeCost("neck.0/Conv", "Conv", 600, 7))


@pytest.mark.parametrize(
    ("name", "op", "expected"),
    [
        ("neck.0/Conv_token_12", "QLinearConv", ("neck.0", "Conv", 600, 37)),
        ("neck.2/Relu_nchwc", "Conv", ("neck.0", "Conv", 600, 37)),
        ("neck.2/Relu", "Relu", ("neck.2", "Relu", 0, 33)),
        ("neck.0/Conv_DequantizeLinear", "DequantizeLinear", ("neck.0", "DequantizeLinear", 0, 33)),
        ("Transpose_token_3", "Transpose", ("", "Transpose", 0, 33)),
        ("p", "NhwcMaxPool", ("", "MaxPool", 0, 33)),
        ("p", "DynamicQuantizeMatMul", ("", "MatMul", 0, 33)),
        ("p", "ConvInteger", ("", "Conv", 0, 33)),
    ],
)
def test_names_of_onnx_runtime_are_restored(name: str, op: str, expected: tuple[str, str, int, int]) -> None:
    """Its additions are removed; a weighted node keeps name and cost, whatever was fused into it."""
    node = node_time(_reported(name, op), COSTS, {})
    assert (node.module, node.kind, node.flops, node.bytes) == expected


def test_renamed_nodes_of_an_older_onnx_runtime_are_restored() -> None:
    """Unnamed convolutions are numbered in the file's order; with different counts they stay unnamed."""
    costs = {
        f"{name}/Conv": NodeCost(f"{name}/Conv", "Conv", flops, 1) for name, flops in (("a", 1), ("b", 2))
    }
    nodes = [_reported("QLinearConv_token_9", "QLinearConv"), _reported("QLinearConv_token_4", "QLinearConv")]
    named = [node_time(node, costs, {}) for node in restore_names(nodes, costs)]
    assert [(node.module, node.flops) for node in named] == [("b", 2), ("a", 1)]
    assert restore_names(nodes[:1], costs) == nodes[:1]


def _profile(*nodes: tuple[str, str, float]) -> Profile:
    return Profile(
        run_ms=8.0,
        profiled_ms=9.0,
        runs=2,
        nodes=tuple(node_time(_reported(*node), COSTS, {}) for node in nodes),
    )


PROFILES = {
    "fp32": _profile(("neck.2/Relu_nchwc", "Conv", 4.0), ("neck/Concat", "Concat", 1.0)),
    "int8": _profile(
        ("x_QuantizeLinear", "QuantizeLinear", 1.0),
        ("neck.0/Conv_token_1", "QLinearConv", 2.0),
        ("neck/Concat", "QLinearConcat", 3.0),
    ),
}


def test_float_and_int8_stand_side_by_side() -> None:
    """Sums per module and operator, the slowest in int8 first; above a ratio of 1 int8 is slower."""
    found = compare_profiles(PROFILES, depth=1)
    (neck, none) = found["modules"]
    assert (neck["module"], neck["fp32_ms"], neck["int8_ms"], neck["int8_vs_fp32"]) == ("neck", 5.0, 5.0, 1.0)
    assert (none["module"], none["fp32_ms"], none["int8_vs_fp32"]) == ("(none)", 0.0, None)
    assert neck["share"] == pytest.approx(5 / 6)
    assert neck["flops"] == 600
    slower = [row["operator"] for row in found["operators"] if (row["int8_vs_fp32"] or 0) > 1]
    assert slower == ["Concat"]


def test_a_greater_depth_splits_the_modules() -> None:
    """With depth 1 there is one module."""
    assert [row["module"] for row in compare_profiles(PROFILES, depth=2)["modules"]] == [
        "neck",
        "neck.0",
        "(none)",
    ]


def test_nodes_are_paired_in_spite_of_fusion() -> None:
    """The convolution is named after its activation in float and after itself in int8."""
    rows = {row["operator"]: row for row in pair_nodes(PROFILES)}
    assert (rows["Conv"]["fp32_ms"], rows["Conv"]["int8_ms"], rows["Conv"]["int8_vs_fp32"]) == (4.0, 2.0, 0.5)
    assert (rows["QuantizeLinear"]["fp32_ms"], rows["QuantizeLinear"]["int8_ms"]) == (None, 1.0)


def test_a_profile_on_this_machine(tmp_path: Path, make_model: Model) -> None:
    """Every file has its nodes, their sum is within the run's time, nothing stays on the device."""
    device = Device(name="local", transport="local", directory=str(tmp_path / "device"), threads=1)
    board = get_board(device, budget_s=0.05)
    files = {"fp32": make_model(5), "int8": make_model(6)}
    profiles, facts = profile_files(board, files, {}, {})
    assert profiles.keys() == files.keys()
    for found in profiles.values():
        assert "Conv" in {node.kind for node in found.nodes}
        assert 0 <= found.nodes_ms <= found.profiled_ms
        assert found.run_ms > 0
        assert 5 <= found.runs <= 200
    assert facts["throttled"] in {"true", "false"}
    assert list((tmp_path / "device/staging").iterdir()) == []


def test_a_node_without_time_has_no_ratio() -> None:
    """A node below the clock's resolution causes no division by zero."""
    node = NodeTime(name="a", module="", op="Relu", provider="", ms=0.0, flops=0, bytes=0)
    both = {
        precision: Profile(run_ms=1, profiled_ms=1, runs=1, nodes=(node,)) for precision in ("fp32", "int8")
    }
    assert pair_nodes(both)[0]["int8_vs_fp32"] is None
    assert compare_profiles(both, 1)["modules"][0]["share"] == 0


@pytest.mark.parametrize("name", ["relu_nchwc", "InsertedPrecisionFreeCast_relu_nchwc"])
def test_short_names_have_the_modules_of_the_metadata(name: str) -> None:
    """A convolution named after the fused activation's output, in float and between casts to it."""
    cost = NodeCost("node_conv2d", "Conv", 54, 12)
    modules = {"node_conv2d": "stem.conv", "relu": "stem.act"}
    found = node_time(_reported(name, "Conv"), {"relu": cost}, modules)
    assert (found.name, found.module, found.flops) == ("node_conv2d", "stem.conv", 54)
    assert node_time(_reported(name, "Relu"), {"relu": cost}, modules).module == "stem.act"


def test_a_board_without_numpy_points_to_the_doctor(tmp_path: Path, make_model: Model) -> None:
    """Its Python starts, but finds no packages."""
    python = (sys.executable, "-S", "-I")
    device = Device(name="bare", transport="local", directory=str(tmp_path), python=python)
    sentence = r"No module named 'numpy'\. See what is missing: mlflow_nas doctor --board bare"
    with pytest.raises(BoardError, match=sentence):
        profile_files(get_board(device, budget_s=0.05), {"fp32": make_model(5)}, {}, {})

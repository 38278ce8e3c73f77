"""Time by node, module and operator."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlflow_nas.board import NodeCost, NodeTime, Profile, compare, get_board, pair_nodes, profile_files
from mlflow_nas.board.profile import _module, _node, _with_lost_names
from mlflow_nas.board.runtime import profile as runtime_profile
from mlflow_nas.board.runtime.failure import Failure
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


def test_the_median_of_the_last_runs_counts() -> None:
    """The first run warms up; a node that runs twice in a run counts twice, one that runs not at all is 0."""
    found = runtime_profile._summary(EVENTS, turns=2)
    assert (found["run_ms"], found["runs"]) == (10.0, 2)
    assert {node["name"]: node["ms"] for node in found["nodes"]} == {"a/Conv": 2.0, "loop": 0.5}


def test_a_profile_that_is_cut_off_is_the_devices_fault(tmp_path: Path) -> None:
    """A full disk leaves half a file; the sentence says what to do."""
    half = tmp_path / "profile.json"
    half.write_text(json.dumps(EVENTS)[:50], encoding="utf-8")
    with pytest.raises(Failure, match=r"can't be read: .*free space"):
        runtime_profile._events(str(half))


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
    """Dots and slashes both part them; repeated prefixes fold."""
    assert _module(name) == module


def _said(name: str, op: str, ms: float = 1.0) -> dict[str, Any]:
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
def test_what_onnx_runtime_calls_a_node(name: str, op: str, expected: tuple[str, str, int, int]) -> None:
    """Its additions go; a weighted node keeps its name and its cost, whatever was fused into it."""
    node = _node(_said(name, op), COSTS)
    assert (node.module, node.kind, node.flops, node.bytes) == expected


def test_an_older_onnx_runtime_gets_its_lost_names_back() -> None:
    """Unnamed convolutions are numbered in the file's order; where the numbers differ nothing is made up."""
    costs = {
        f"{name}/Conv": NodeCost(f"{name}/Conv", "Conv", flops, 1) for name, flops in (("a", 1), ("b", 2))
    }
    said = [_said("QLinearConv_token_9", "QLinearConv"), _said("QLinearConv_token_4", "QLinearConv")]
    named = [_node(node, costs) for node in _with_lost_names(said, costs)]
    assert [(node.module, node.flops) for node in named] == [("b", 2), ("a", 1)]
    assert _with_lost_names(said[:1], costs) == said[:1]


def _profile(*nodes: tuple[str, str, float]) -> Profile:
    return Profile(run_ms=9.0, runs=2, nodes=tuple(_node(_said(*node), COSTS) for node in nodes))


PROFILES = {
    "fp32": _profile(("neck.2/Relu_nchwc", "Conv", 4.0), ("neck/Concat", "Concat", 1.0)),
    "int8": _profile(
        ("x_QuantizeLinear", "QuantizeLinear", 1.0),
        ("neck.0/Conv_token_1", "QLinearConv", 2.0),
        ("neck/Concat", "QLinearConcat", 3.0),
    ),
}


def test_float_and_int8_stand_side_by_side() -> None:
    """Sums per module and operator, the slowest in int8 first; the ratio says which int8 makes slower."""
    found = compare(PROFILES, depth=1)
    (neck, none) = found["modules"]
    assert (neck["module"], neck["fp32_ms"], neck["int8_ms"], neck["int8_vs_fp32"]) == ("neck", 5.0, 5.0, 1.0)
    assert (none["module"], none["fp32_ms"], none["int8_vs_fp32"]) == ("(none)", 0.0, None)
    assert neck["share"] == pytest.approx(5 / 6)
    assert neck["flops"] == 600
    slower = [row["operator"] for row in found["operators"] if (row["int8_vs_fp32"] or 0) > 1]
    assert slower == ["Concat"]


def test_a_deeper_path_parts_the_modules() -> None:
    """With one part there was one module."""
    assert [row["module"] for row in compare(PROFILES, depth=2)["modules"]] == ["neck", "neck.0", "(none)"]


def test_nodes_pair_although_fusion_names_them_otherwise() -> None:
    """The convolution is named after its activation in float and after itself in int8."""
    rows = {row["operator"]: row for row in pair_nodes(PROFILES)}
    assert (rows["Conv"]["fp32_ms"], rows["Conv"]["int8_ms"], rows["Conv"]["int8_vs_fp32"]) == (4.0, 2.0, 0.5)
    assert (rows["QuantizeLinear"]["fp32_ms"], rows["QuantizeLinear"]["int8_ms"]) == (None, 1.0)


def test_a_profile_on_this_machine(tmp_path: Path, make_model: Model) -> None:
    """Every file has its nodes, their times are within the run's, nothing stays on the device."""
    device = Device(name="local", transport="local", directory=str(tmp_path / "device"), threads=1)
    board = get_board(device, budget_s=0.1)
    files = {"fp32": make_model(5), "int8": make_model(6)}
    profiles, facts = profile_files(board, files, {})
    assert profiles.keys() == files.keys()
    for found in profiles.values():
        assert "Conv" in {node.kind for node in found.nodes}
        assert 0 <= found.nodes_ms <= found.run_ms
        assert 5 <= found.runs <= 200
    assert facts["throttled"] in {"true", "false"}
    assert list((tmp_path / "device/staging").iterdir()) == []


def test_a_node_without_time_makes_no_ratio() -> None:
    """A node that the clock can't see divides nothing."""
    node = NodeTime(name="a", module="", op="Relu", provider="", ms=0.0, flops=0, bytes=0)
    both = {precision: Profile(run_ms=1, runs=1, nodes=(node,)) for precision in ("fp32", "int8")}
    assert pair_nodes(both)[0]["int8_vs_fp32"] is None
    assert compare(both, 1)["modules"][0]["share"] == 0

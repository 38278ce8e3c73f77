"""Time by node, by module and by operator; the float file beside the int8 file."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from mlflow_nas.board.device import DeviceBoard

__all__ = [
    "NO_MODULE",
    "NodeCost",
    "NodeTime",
    "Profile",
    "compare_profiles",
    "module_path",
    "node_time",
    "pair_nodes",
    "profile_files",
    "restore_names",
]

NO_MODULE = "(none)"
"""Module of nodes that ONNX Runtime inserted (layout, quantization) or whose name has no path."""

_MIN_RUNS = 5  # of a node the median counts; an emulated board takes seconds a run
_MAX_RUNS = 200  # ONNX Runtime keeps every node of every run in memory
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_ADDED = re.compile(r"^(fused |InsertedPrecisionFreeCast_)|(_token_\d+|_nchwc|_nhwc)+$")
_VARIANT = re.compile(r"^(QLinear|Nhwc|Fused|Dynamic|Quantize(?!Linear)|Q(?=[A-Z]))+|(?<=.)Integer$")


class NodeCost(NamedTuple):
    """A weighted node of a file: its name, FLOPs (two per multiply-accumulate) and bytes of weights."""

    node: str
    op: str
    flops: int
    weight_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTime:
    """One node as ONNX Runtime ran it.

    Attributes:
        name: in the file, without ONNX Runtime's additions; of fused nodes, that of the weighted one.
        module: path of the module, the part of the name before its last slash; may be empty.
        op: operator that ran, such as QLinearConv.
        provider: execution provider that ran it.
        ms: median time.
        flops: of the weighted operators; 0 for all others.
        bytes: weights, inputs and outputs.
    """

    name: str
    module: str
    op: str
    provider: str
    ms: float
    flops: int
    bytes: int

    @property
    def kind(self) -> str:
        """The operator without its precision: Conv for QLinearConv."""
        return _kind_of(self.op)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One file on one device.

    Attributes:
        run_ms: median time of a run without the profiler.
        profiled_ms: the same under the profiler, which adds its own time to every node.
        runs: under the profiler.
        nodes: in execution order.
    """

    run_ms: float
    profiled_ms: float
    runs: int
    nodes: tuple[NodeTime, ...]

    @property
    def nodes_ms(self) -> float:
        """Sum over the nodes; the rest of a run is ONNX Runtime's overhead."""
        return sum(node.ms for node in self.nodes)


def profile_files(
    board: DeviceBoard,
    files: Mapping[str, Path],
    costs: Mapping[str, Mapping[str, NodeCost]],
    modules: Mapping[str, str],
) -> tuple[dict[str, Profile], dict[str, str]]:
    """Profile files alternately on a device.

    Args:
        board: the device.
        files: precision to file.
        costs: precision to costs of its nodes, by name.
        modules: name of a node, or of its output, to its module, where the name itself is no path.

    Returns:
        Precision to profile, and the device's facts before and after.

    Raises:
        BoardError: the device can't be reached, died midway, or stayed busy.
        CandidateError: the device refuses a file.
    """
    with board.client.staged(*files.values()) as paths:
        answer = board.profile_remote(paths, min_runs=_MIN_RUNS, max_runs=_MAX_RUNS)
    profiles = {
        precision: _profile(found, costs.get(precision, {}), modules)
        for precision, found in zip(files, answer["models"], strict=True)
    }
    return profiles, answer["facts"]


def _profile(answer: Mapping[str, Any], costs: Mapping[str, NodeCost], modules: Mapping[str, str]) -> Profile:
    nodes = tuple(node_time(node, costs, modules) for node in restore_names(answer["nodes"], costs))
    times = {name: answer[name] for name in ("run_ms", "profiled_ms", "runs")}
    return Profile(**times, nodes=nodes)


def restore_names(
    nodes: Sequence[Mapping[str, Any]], costs: Mapping[str, NodeCost]
) -> list[Mapping[str, Any]]:
    """The nodes with the file's names of weighted nodes that ONNX Runtime renamed.

    ONNX Runtime 1.19 calls int8 convolutions QLinearConv_token_7 and the like, numbered in the file's order.
    They get the names of the file's nodes that no other node has, if both are equally many.
    """
    names = [_ADDED.sub("", str(node["name"])) for node in nodes]
    kinds = [_kind_of(node["op"]) for node in nodes]
    taken = {
        costs[name].node for name, kind in zip(names, kinds, strict=True) if _is_weighted(name, kind, costs)
    }
    found = list(nodes)
    for kind in _WEIGHTED:
        lost = [i for i, node in enumerate(nodes) if kinds[i] == kind and names[i] == node["op"]]
        lost.sort(key=lambda i: _number(str(nodes[i]["name"])))
        own = dict.fromkeys(cost.node for cost in costs.values() if _kind_of(cost.op) == kind)
        free = [name for name in own if name not in taken]
        if len(lost) == len(free):
            for index, name in zip(lost, free, strict=True):
                found[index] = {**nodes[index], "name": name}
    return found


def _is_weighted(name: str, kind: str, costs: Mapping[str, NodeCost]) -> bool:
    return kind in _WEIGHTED and name in costs


def _number(name: str) -> int:
    """ONNX Runtime's number of a renamed node; the first one has none."""
    found = re.search(r"_token_(\d+)$", name)
    return int(found[1]) if found else -1


def node_time(node: Mapping[str, Any], costs: Mapping[str, NodeCost], modules: Mapping[str, str]) -> NodeTime:
    """A node of the runtime's profile with its module and cost."""
    name = _ADDED.sub("", str(node["name"]))
    cost = costs[name] if _is_weighted(name, _kind_of(node["op"]), costs) else None
    name, _, flops, weight_bytes = cost or (name, "", 0, 0)
    weights = max(int(node["parameter_size"]), weight_bytes)
    return NodeTime(
        name=name,
        module=module_path(name) or modules.get(name, ""),
        op=node["op"],
        provider=node["provider"],
        ms=node["ms"],
        flops=flops,
        bytes=int(node["activation_size"]) + int(node["output_size"]) + weights,
    )


def _kind_of(op: str) -> str:
    return _VARIANT.sub("", op) or op


def module_path(name: str) -> str:
    """Path of the module with dots: "neck.fuse.0" of "neck.fuse.0/Conv", "a.0.b" of "/a.0/b/Conv".

    Older exporters repeat the path in each part ("features/features.0/Conv"): the last part is complete.
    """
    parts: list[str] = []
    for part in name.strip("/").split("/")[:-1]:
        if parts and part.startswith(f"{parts[-1]}."):
            parts.pop()
        parts.append(part)
    return ".".join(parts)


def _at_depth(module: str, depth: int) -> str:
    return ".".join(module.split(".")[:depth]) or NO_MODULE


def compare_profiles(profiles: Mapping[str, Profile], depth: int) -> dict[str, list[dict[str, Any]]]:
    """Rows by module (the first `depth` parts of its path) and by operator, the slowest first.

    Each row has PRECISION_ms of every file, the share of the last file's time, FLOPs and bytes of the last
    file and, with two files, `int8_vs_fp32`: above 1 int8 is slower.
    """
    return {
        "modules": _rows(profiles, "module", lambda node: _at_depth(node.module, depth)),
        "operators": _rows(profiles, "operator", lambda node: node.kind),
    }


def _rows(
    profiles: Mapping[str, Profile], title: str, group: Callable[[NodeTime], str]
) -> list[dict[str, Any]]:
    sums = {precision: _sums(profile.nodes, group) for precision, profile in profiles.items()}
    last = list(profiles)[-1]
    names = dict.fromkeys(name for groups in sums.values() for name in groups)
    nothing = {"ms": 0.0, "flops": 0, "bytes": 0}
    total_ms = profiles[last].nodes_ms or 1.0  # the profiler's clock has whole microseconds
    rows = []
    for name in names:
        times = {f"{precision}_ms": groups.get(name, nothing)["ms"] for precision, groups in sums.items()}
        own = sums[last].get(name, nothing)
        row = {title: name, **times, **_ratio(times), "share": own["ms"] / total_ms}
        rows.append({**row, "flops": int(own["flops"]), "bytes": int(own["bytes"])})
    return sorted(rows, key=lambda row: -float(row[f"{last}_ms"]))


def _sums(nodes: Iterable[NodeTime], group: Callable[[NodeTime], str]) -> dict[str, dict[str, float]]:
    sums: defaultdict[str, dict[str, float]] = defaultdict(lambda: {"ms": 0.0, "flops": 0, "bytes": 0})
    for node in nodes:
        own = sums[group(node)]
        own["ms"] += node.ms
        own["flops"] += node.flops
        own["bytes"] += node.bytes
    return sums


def _ratio(times: Mapping[str, float | None]) -> dict[str, float | None]:
    if not {"fp32_ms", "int8_ms"} <= times.keys():
        return {}
    fp32_ms, int8_ms = times["fp32_ms"], times["int8_ms"]
    return {"int8_vs_fp32": int8_ms / fp32_ms if fp32_ms and int8_ms else None}


def pair_nodes(profiles: Mapping[str, Profile]) -> list[dict[str, Any]]:
    """A row per node with PRECISION_ms of every file that has it, in execution order.

    Nodes with equal name and operator are the same; several of them are paired in their order.
    """
    rows: dict[tuple[str, str, int], dict[str, Any]] = {}
    for precision, profile in profiles.items():
        for key, node in _numbered(profile.nodes):
            row = rows.setdefault(key, {"node": node.name, "module": node.module, "operator": node.kind})
            row |= {f"{precision}_ms": node.ms, f"{precision}_op": node.op, f"{precision}_on": node.provider}
            row |= {"flops": node.flops, "bytes": node.bytes}
    titles = [f"{precision}_{what}" for precision in profiles for what in ("ms", "op", "on")]
    complete = [{**dict.fromkeys(titles), **row} for row in rows.values()]
    return [
        {**row, **_ratio({title: row[title] for title in titles if title.endswith("_ms")})}
        for row in complete
    ]


def _numbered(nodes: Sequence[NodeTime]) -> Iterable[tuple[tuple[str, str, int], NodeTime]]:
    seen: Counter[tuple[str, str]] = Counter()
    for node in nodes:
        key = (node.name, node.kind)
        yield (*key, seen[key]), node
        seen[key] += 1

"""What boards answer, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_nas.cli.words import table

__all__ = ["examined_words", "focused_words", "listed_words", "profiled_words"]

_SLOWER_SHOWN = 10


def listed_words(result: Mapping[str, Any]) -> str:
    """A line per device, and what keeps the others from being used."""
    rows = result["boards"]
    faults = [
        f"\n{row['name']}: {row['error']}\n  What is missing: mlflow_nas doctor --board {row['name']}"
        for row in rows
        if row["error"]
    ]
    return "\n".join([table([_device(row) for row in rows]), *faults])


def _device(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = row["facts"]
    return {
        "board": f"{row['name']} (emulated)" if row["emulated"] else row["name"],
        "transport": row["transport"],
        "host": row["host"],
        "state": row["state"],
        "soc": facts.get("soc") or facts.get("cpu") or facts.get("machine"),
        "cores": facts.get("cores"),
        "governor": facts.get("governor"),
        "MHz": facts.get("clock_mhz"),
        "max MHz": facts.get("clock_max_mhz"),
        "memory MB": facts.get("memory_mb"),
        "onnxruntime": facts.get("onnxruntime"),
        "providers": facts.get("providers", "").replace("ExecutionProvider", "") or None,
        "groups": ",".join(row["groups"]) or None,
    }


def examined_words(result: Mapping[str, Any]) -> str:
    """A line per check; below those that are not well, the command."""
    lines = []
    for check in result["checks"]:
        lines.append(f"{check['state']:8}{check['name']:12}{check['found']}")
        if check["remedy"]:
            lines.append(f"{'':20}-> {check['remedy']}")
    verdict = "is ready" if result["ready"] else "can't be used yet"
    return "\n".join([*lines, f"{result['board']} {verdict}."])


def profiled_words(result: Mapping[str, Any]) -> str:
    """The table by module, that by operator, and what int8 makes slower."""
    files = result["files"]
    runs = ", ".join(
        f"{precision} {file['run_ms']:.3f} ms (nodes {file['nodes_ms']:.3f} ms, {file['runs']} runs)"
        for precision, file in files.items()
    )
    emulated = " This board is emulated: its times are no latencies." if result["emulated"] else ""
    parts = [
        f"Under ONNX Runtime's profiler on {result['board']}: {runs}.{emulated}",
        "\nBy module, the slowest first:",
        table([_shown(row) for row in result["modules"]]),
        "\nBy operator:",
        table([_shown(row) for row in result["operators"]]),
    ]
    if {"fp32", "int8"} <= files.keys():
        parts += ["\nNodes that int8 makes slower, the most time lost first:", _slower(result["nodes"])]
    if result["int8_missing"]:
        parts.append(f"\nOnly float: {result['int8_missing']}")
    return "\n".join([*parts, f"\nChart {result['chart']}\nRun {result['run_id']}"])


def focused_words(result: Mapping[str, Any]) -> str:
    """The slowest modules, what each space acts on, and the command that searches there."""
    suggested = result["suggested"]
    parameters = [
        {
            "parameter": one["name"],
            "acts on": ", ".join(one["acts_on"]) or "(the whole network)",
            "share": _per_cent(one["share"]),
            "choices": one["choices"] if one["free"] else "(the baseline's)",
        }
        for one in suggested["parameters"]
    ]
    spaces = [
        {
            "space": one["space"],
            "acts on": _per_cent(one["share"]),
            "architectures": f"{one['size']:,}",
            "focused": f"{one['focused_size']:,}",
        }
        for one in result["spaces"]
    ]
    slowest = [{**row, "share": _per_cent(row["share"])} for row in result["bottleneck"]]
    emulated = " (emulated: no latencies)" if result["emulated"] else ""
    return "\n".join(
        [
            f"Where the time of the {result['precision']} file goes on {result['board']}{emulated}:",
            table(slowest),
            "\nHow much of it the spaces act on, beside what acts on the whole network:",
            table(spaces),
            f"\nFocused {suggested['space']}: {suggested['focused_size']:,} of {suggested['size']:,} "
            "architectures.",
            table(parameters),
            f"\nSearch there: {suggested['command']}",
        ]
    )


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as people read it: per cent, millions, kilobytes."""
    times = {name: value for name, value in row.items() if name not in ("share", "flops", "bytes")}
    counts = {"MFLOPs": row["flops"] / 1e6, "kB": row["bytes"] / 1e3}
    return {**times, "share": _per_cent(row["share"]), **counts}


def _slower(nodes: Sequence[Mapping[str, Any]]) -> str:
    slower = [row for row in nodes if (row["int8_vs_fp32"] or 0) > 1]
    slower.sort(key=lambda row: row["fp32_ms"] - row["int8_ms"])
    shown = ("node", "operator", "fp32_ms", "int8_ms", "int8_vs_fp32")
    rows = [{name: row[name] for name in shown} for row in slower[:_SLOWER_SHOWN]]
    return table(rows) if rows else "(none)"

"""A profile and the space that is focused on it as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlflow_nas.api import FocusResult, ProfileResult, SensitivityResult
from mlflow_nas.cli.formats.table import format_percent, format_table

__all__ = ["format_focus", "format_profile", "format_sensitivity"]

_SLOWER_SHOWN = 10
_EVERY = 3  # of the windows of a sustained load


def format_profile(result: ProfileResult) -> str:
    """The table by module, that by operator, and the nodes that int8 makes slower."""
    runs = ", ".join(
        f"{precision} {file['run_ms']:.3f} ms (under the profiler {file['profiled_ms']:.3f} ms, its nodes "
        f"{file['nodes_ms']:.3f} ms, {file['runs']} runs)"
        for precision, file in result.files.items()
    )
    emulated = " This board is emulated: its times are no latencies." if result.emulated else ""
    parts = [
        f"On {result.board}: {runs}.{emulated}",
        "\nBy module, the slowest first:",
        format_table([_shown(row) for row in result.modules]),
        "\nBy operator:",
        format_table([_shown(row) for row in result.operators]),
    ]
    if {"fp32", "int8"} <= result.files.keys():
        parts += ["\nNodes that int8 makes slower, the most time lost first:", _slower(result.nodes)]
    if result.threads:
        parts += ["\nBy threads of one inference:", format_table(list(result.threads))]
    if result.sustained:
        parts += ["\n" + _sustained(result.sustained)]
    if result.int8_missing:
        parts.append(f"\nOnly float: {result.int8_missing}")
    return "\n".join([*parts, f"\nChart {result.chart}\nRun {result.run_id}"])


def format_sensitivity(result: SensitivityResult) -> str:
    """The accuracy in float and in int8, the layers, and the chart."""
    accuracy = [
        {"all layers in": name, **row} for name, row in (("float", result.fp32), ("int8", result.int8))
    ]
    columns = {name: None for row in result.layers for name in row}
    return "\n".join(
        [
            f"{result.detector}:",
            format_table(accuracy),
            "\nOne layer alone in int8, the most sensitive first:",
            format_table([{**columns, **row} for row in result.layers]),
            f"\nChart {result.chart}",
        ]
    )


def format_focus(result: FocusResult) -> str:
    """The slowest modules, what each space acts on, what its choices save, and the command of the search."""
    suggested = result.suggested
    spaces = [
        {
            "space": one["space"],
            "acts on": format_percent(one["share"]),
            "architectures": f"{one['size']:,}",
        }
        for one in result.spaces
    ]
    slowest = [{**row, "share": format_percent(row["share"])} for row in result.bottleneck]
    emulated = " (emulated: no latencies)" if result.emulated else ""
    parts = [
        f"Slowest modules of the {result.precision} file on {result.board}{emulated}:",
        format_table(slowest),
        "\nShare of the time that each space acts on, the input's size left out:",
        format_table(spaces),
        f"\nFocused {suggested['space']}: {suggested['focused_size']:,} of {suggested['size']:,} "
        "architectures.",
        "Each choice measured alone, the largest saving first:",
        format_table([_parameter(one) for one in suggested["parameters"]]),
    ]
    if result.fixed:
        fixed = ", ".join(f"{row['module']} {format_percent(row['share'])}" for row in result.fixed)
        parts.append(f"No parameter of {suggested['space']} acts on: {fixed}")
    return "\n".join([*parts, f"\nSearch it: {suggested['command']}"])


def _parameter(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "parameter": one["name"],
        "acts on": ", ".join(filter(None, one["acts_on"])) or "(the whole network)",
        "share": format_percent(one["share"]),
        "saves": format_percent(one["saving"]),
        "at": one["at"],
        "choices": one["choices"] if one["free"] else "(the baseline's)",
    }


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in per cent, millions and kilobytes."""
    times = {name: value for name, value in row.items() if name not in ("share", "flops", "bytes")}
    counts = {"MFLOPs": row["flops"] / 1e6, "kB": row["bytes"] / 1e3}
    return {**times, "share": format_percent(row["share"]), **counts}


def _sustained(found: Mapping[str, Any]) -> str:
    windows = found["windows"]
    rows = windows[_EVERY - 1 :: _EVERY]
    throttled = found["throttling"] or "not throttled"
    return (
        f"Without a pause ({found['precision']}): {found['first_runs_per_s']:.1f} runs a second at first, "
        f"{found['runs_per_s']:.1f} at the end; {throttled}.\n{format_table(rows)}"
    )


def _slower(nodes: Sequence[Mapping[str, Any]]) -> str:
    slower = [row for row in nodes if (row["int8_vs_fp32"] or 0) > 1]
    slower.sort(key=lambda row: row["fp32_ms"] - row["int8_ms"])
    shown = ("node", "operator", "fp32_ms", "int8_ms", "int8_vs_fp32")
    return format_table([{name: row[name] for name in shown} for row in slower[:_SLOWER_SHOWN]])

"""Results in words."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "deployed_words",
    "evaluated_words",
    "promoted_words",
    "rolled_back_words",
    "searched_words",
    "table",
    "trained_words",
    "ui_words",
]

_SHOWN = ("map", "map_50", "latency_ms", "latency_ratio")


def searched_words(result: Mapping[str, Any]) -> str:
    """Trials, front, champion, device, and the command that opens the UI."""
    front = {row["trial"] for row in result["front"]}
    parts = [
        f"\nTrials of study {result['study']} (* Pareto front):",
        table([{"": "*" if row["trial"] in front else "", **_shown(row)} for row in result["trials"]]),
        "\nPareto front, fastest first:",
        table([_shown(row) for row in result["front"]]) if front else "(empty: no trial was completed)",
    ]
    if result["estimate"]:
        parts.append(_estimated_words(result["estimate"]))
    registry = result["registry"]
    if registry:
        aliases = ", ".join(
            f"{name} = version {number}" for name, number in sorted(registry["aliases"].items())
        )
        parts.append(f"\nRegistered model {registry['model']}: {aliases}")
    if result["deployed"]:
        parts.append(deployed_words(result["deployed"]))
    if "not_deployed" in result:
        parts.append(f"Not deployed: {result['not_deployed']}")
    parts.append(f"\nOpen the UI: {ui_words(result)}")
    return "\n".join(parts)


def _estimated_words(estimate: Mapping[str, Any]) -> str:
    """How many candidates were scored, how their latency was known, and what the measured mAP decided."""
    costs, decided = estimate["costs"], estimate["decided"]
    model = estimate["latency_model"] or "measured for every candidate"
    trained = f"{costs['chosen']:.0f} of them trained in {costs['post_search_s']:.0f} s"
    best = f"{decided['key']} (trial {decided['trial']}, mAP {decided['map']:.3f})" if decided else "nothing"
    return (
        f"\nEstimate by {estimate['estimator']}: {costs['candidates']:.0f} candidates in "
        f"{costs['search_s']:.0f} s, {trained}.\n"
        f"Latency of candidates: {model}.\n"
        f"Best by measured mAP of those and {costs['samples']:.0f} samples: {best}."
    )


def trained_words(result: Mapping[str, Any]) -> str:
    """The measured numbers of one architecture."""
    known = {name: result[name] for name in ("key", "state", "latency_unstable")}
    row = {"trial": result["number"], **known, **result["metrics"]}
    return f"{table([_shown(row)])}\nRun {result['run_id']}"


def evaluated_words(result: Mapping[str, Any]) -> str:
    """What was measured on what, and the two numbers."""
    height, width = result["img_size"]
    views = f"{result['views']} views of each photograph, " if result["views"] > 1 else ""
    return (
        f"{result['detector']} ({result['precision']}, {width} x {height} px) on {result['data']}, "
        f"{result['split']}: {views}{result['images']} images, {result['boxes']} boxes, "
        f"{result['ignored']} of them ignored\nAP50 {result['map_50']:.3f}  mAP {result['map']:.3f}"
    )


def promoted_words(result: Mapping[str, Any]) -> str:
    """What changed, or that nothing did, and the front."""
    verb = "would change" if result["dry_run"] else "changed"
    changes = [
        "version {version}: {kind} {name}: {before} -> {after}".format(**change)
        for change in result["changes"]
    ]
    return "\n".join(
        [
            f"{result['model']}: {len(changes) or 'nothing'} {verb}.",
            *changes,
            table([{**row, "aliases": ", ".join(row["aliases"])} for row in result["front"]]),
        ]
    )


def deployed_words(result: Mapping[str, Any]) -> str:
    """Which version is active under which name."""
    before = result.get("previous")
    kept = f"; version {before['version']} is kept" if before else ""
    proof = result.get("proof", {})
    unstable = " (unstable)" if proof.get("latency_unstable") else ""
    shown = f", {proof['latency_ms']:.3f} ms there{unstable}" if "latency_ms" in proof else ""
    return (
        f"Deployed {result['model']} version {result['version']} as {result['name']} "
        f"(sha256 {str(result['sha256'])[:12]}{shown}){kept}{_devices(result)}."
    )


def rolled_back_words(result: Mapping[str, Any]) -> str:
    """Which version is active again."""
    return (
        f"{result['name']} is version {result['version']} of {result['model']} again "
        f"(sha256 {str(result['sha256'])[:12]}){_devices(result)}."
    )


def _devices(result: Mapping[str, Any]) -> str:
    """Which devices of a group have it."""
    return f", on {', '.join(result['devices'])}" if "devices" in result else ""


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: row.get(name) for name in ("trial", "key", "state", *_SHOWN)}
    if row.get("latency_unstable"):
        shown["latency_ms"] = f"{_cell(shown['latency_ms'])} unstable"
    return shown


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns, aligned."""
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def ui_words(result: Mapping[str, Any]) -> str:
    """The page of the result's run, and the command that serves it where no server does."""
    uri, page = (
        str(result["tracking_uri"]),
        f"#/experiments/{result['experiment_id']}/runs/{result['run_id']}",
    )
    if uri.startswith("http"):
        return f"{uri.rstrip('/')}/{page}"
    return f"{_mlflow()} server --backend-store-uri {uri} --workers 1  (then http://127.0.0.1:5000/{page})"


def _mlflow() -> str:
    """MLflow's command of this environment, which need not be on the user's PATH."""
    script = Path(sys.executable).with_name("mlflow")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)

"""The study in words and columns."""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from mlflow_nas.report.front import front_of
from mlflow_nas.report.speed import speed_warning
from mlflow_nas.types import Evaluation

__all__ = ["study_description", "table_columns"]

_METRICS = (
    *("map", "map_50", "map_fp32", "test_map", "test_map_50"),
    *("latency_ms", "latency_ratio", "flops", "params", "train_s"),
)
COMPARED = 100
_SHOWN = ("map", "latency_ms", "latency_ratio")


def table_columns(evaluations: Sequence[Evaluation]) -> dict[str, list[object]]:
    """Column name to values, one per evaluation; the columns are the same for every study of a space."""
    front = {evaluation.number for evaluation in front_of(evaluations)}
    names = list(dict.fromkeys(name for evaluation in evaluations for name in evaluation.architecture))
    columns: dict[str, list[object]] = {
        "trial": [evaluation.number for evaluation in evaluations],
        "key": [evaluation.key for evaluation in evaluations],
        "state": [evaluation.state for evaluation in evaluations],
        "front": [evaluation.number in front for evaluation in evaluations],
    }
    for name in names:
        columns[f"arch.{name}"] = [evaluation.architecture.get(name) for evaluation in evaluations]
    for name in _METRICS:
        columns[name] = [evaluation.metrics.get(name) for evaluation in evaluations]
    columns["latency_unstable"] = [evaluation.latency_unstable for evaluation in evaluations]
    columns["error"] = [evaluation.error for evaluation in evaluations]
    return columns


def study_description(
    evaluations: Sequence[Evaluation], *, experiment_id: str, settings: Mapping[str, object]
) -> str:
    """Markdown for the study's run: settings, and the Pareto front with a link to each run."""
    said = ", ".join(f"{name} `{value}`" for name, value in settings.items())
    lines = [
        f"Hardware-aware architecture search: {said}.",
        "",
        "Pareto front (map up, latency down), fastest first; the interactive figure is `pareto.html`:",
        "",
        "| trial | architecture | mAP | latency ms | x baseline |",
        "|---|---|---|---|---|",
    ]
    for evaluation in front_of(evaluations):
        link = f"[{evaluation.number}](#/experiments/{experiment_id}/runs/{evaluation.run_id})"
        shown = [f"{evaluation.metrics[name]:.3f}" if name in evaluation.metrics else "-" for name in _SHOWN]
        shown[1] += " (unstable)" if evaluation.latency_unstable else ""
        lines.append(f"| {' | '.join([link, evaluation.key, *shown])} |")
    if warning := speed_warning(evaluations):
        lines += ["", f"**{warning}**"]
    return "\n".join([*lines, "", f"[Compare the trials]({_comparison(evaluations, experiment_id)})"])


def _comparison(evaluations: Sequence[Evaluation], experiment_id: str) -> str:
    """The page of MLflow's UI that compares the complete trials: the newest, as many as its address holds."""
    runs = [str(evaluation.run_id) for evaluation in evaluations if evaluation.state == "complete"]
    shown = json.dumps(runs[-COMPARED:], separators=(",", ":"))
    return f"#/compare-runs?runs={quote(shown)}&experiments={quote(json.dumps([experiment_id]))}"

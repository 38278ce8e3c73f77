"""The study in words and columns."""

from collections.abc import Mapping, Sequence

from mlflow_nas.report.front import front_of
from mlflow_nas.types import Evaluation

__all__ = ["study_description", "table_columns", "trials_table"]

_METRICS = ("map", "map_50", "map_fp32", "latency_ms", "latency_ratio", "flops", "params", "train_s")
_SHOWN = ("map", "map_50", "latency_ms", "latency_ratio")


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
    columns["error"] = [evaluation.error for evaluation in evaluations]
    return columns


def trials_table(evaluations: Sequence[Evaluation]) -> str:
    """A table for the terminal; * marks the Pareto front."""
    front = {evaluation.number for evaluation in front_of(evaluations)}
    header = ["", "trial", "architecture", "state", "mAP", "mAP50", "latency ms", "x baseline"]
    rows = [header, *(_row(evaluation, on_front=evaluation.number in front) for evaluation in evaluations)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(evaluation: Evaluation, *, on_front: bool) -> list[str]:
    values = [evaluation.metrics.get(name) for name in _SHOWN]
    shown = ["-" if value is None else f"{value:.3f}" for value in values]
    return ["*" if on_front else "", str(evaluation.number), evaluation.key, evaluation.state, *shown]


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
        _, _, key, _, accuracy, _, latency, ratio = _row(evaluation, on_front=True)
        lines.append(f"| {link} | {key} | {accuracy} | {latency} | {ratio} |")
    return "\n".join(lines)

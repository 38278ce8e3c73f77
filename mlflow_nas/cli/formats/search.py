"""A search, a study's status and one trained architecture as text."""

import shlex
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mlflow_nas.api import EvaluateResult, SearchResult, StatusResult
from mlflow_nas.api.planning import describe_outcome
from mlflow_nas.cli.formats.deployment import format_manifest
from mlflow_nas.cli.formats.table import format_table, format_ui, format_value
from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.types import TrialResult

__all__ = ["format_evaluate", "format_search", "format_status", "format_train"]

_ACCURACIES = tuple(chain(*TASK_METRICS.values()))
_INTERVALS = tuple(f"{names[0]}_ci_{end}" for names in TASK_METRICS.values() for end in ("low", "high"))
_FINAL = (*_ACCURACIES, "95 %", "latency_ms", "speedup")
_FIRST = (*_ACCURACIES, "latency_ms", "latency_ratio")


def format_search(result: SearchResult) -> str:
    """Trials, front, champion, device, and the page in MLflow."""
    trials, front = ([trial.as_row() for trial in part] for part in (result.trials, result.front))
    parts = [f"\nTrials of study {result.study} (* Pareto front):", _trials(trials, front)]
    parts += ["\nPareto front, fastest first:", _front(front)]
    if result.finalists:
        finished = [one for one in (result.given, *result.finalists) if one is not None]
        parts += ["\nTrained to the end, beside the detector as given:", _finalists(finished)]
    if result.estimate:
        parts.append(_estimate(result.estimate))
    if result.registry:
        aliases = sorted(result.registry["aliases"].items())
        shown = ", ".join(f"{name} = version {number}" for name, number in aliases)
        parts.append(f"\nRegistered model {result.registry['model']}: {shown or 'no alias'}")
    if result.deployed:
        parts.append(format_manifest(result.deployed))
    if result.not_deployed:
        parts.append(f"Not deployed: {result.not_deployed}")
    parts += [*result.notes]
    parts += [f"Plan: {describe_outcome(result.plan)}."] if result.plan else []
    parts += ["", *result.answer]
    parts += [f"\nReport: {result.report}"] if result.report else []
    parts += [f"Charts: {result.charts}"] if result.charts else []
    parts.append(f"Open the UI: {format_ui(result.tracking_uri, result.experiment_id, result.run_id)}")
    return "\n".join(parts)


def format_status(result: StatusResult) -> str:
    """Trials, front, and what is still evaluated."""
    parts = [
        f"Study {result.study}: {len(result.trials)} trials finished, {result.running} running, "
        f"{result.waiting} waiting.",
        _trials(result.trials, result.front),
        "\nPareto front:",
        _front(result.front),
    ]
    if result.best is not None:
        parts.append(f"\nBest first objective: trial {result.best['trial']}, {result.best['key']}")
    place = '"$MLFLOW_NAS_STORAGE"' if "***" in result.storage else shlex.quote(result.storage)
    parts.append(f"\nCharts of Optuna: optuna-dashboard {place}  (after pip install optuna-dashboard)")
    return "\n".join(parts)


def format_train(result: TrialResult) -> str:
    """The measured numbers of one architecture."""
    row = result.as_row()
    return "\n".join([_trials([row], ()), f"Run {result.run_id or '-'}"])


def format_evaluate(result: EvaluateResult) -> str:
    """What was evaluated on which images, and its accuracy."""
    height, width = result.img_size
    copies = result.eval_augmentations
    augmented = f" (each {copies} times, augmented)" if copies > 1 else ""
    accuracy = "  ".join(f"{name} {value:.3f}" for name, value in result.metrics.items())
    return (
        f"{result.detector} ({result.precision}, {width} x {height} px) on {result.data}, {result.split}: "
        f"{result.images} images{augmented}, {result.boxes} boxes, {result.ignored} of them ignored\n"
        f"{accuracy}"
    )


def _trials(rows: Sequence[Mapping[str, Any]], front: Sequence[Mapping[str, Any]]) -> str:
    """The table of trials, and below it why trials failed."""
    numbers = {row["trial"] for row in front}
    columns = _columns(rows)
    shown = [{"": "*" if row["trial"] in numbers else "", **_shown(row, columns)} for row in rows]
    failed = [f"{_name(row)} {row['state']}: {row['error']}" for row in rows if row.get("error")]
    return "\n".join([format_table(shown), *failed])


def _name(row: Mapping[str, Any]) -> str:
    return str(row["key"]) if row["trial"] is None else f"Trial {row['trial']}"


def _front(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "(empty: no trial is complete)"
    columns = _columns(rows)
    return format_table([_shown(row, columns) for row in rows])


def _finalists(results: Sequence[TrialResult]) -> str:
    rows = [_with_interval(one.as_row()) for one in results]
    columns = tuple(name for name in _FINAL if any(name in row for row in rows))
    return format_table([{name: row.get(name) for name in ("key", "state", *columns)} for row in rows])


def _with_interval(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with the interval of its accuracy as one value."""
    ends = [f"{row[name]:.3f}" for name in _INTERVALS if name in row]
    return {**row, "95 %": " to ".join(ends)} if ends else dict(row)


def _accuracy(row: Mapping[str, Any]) -> str:
    """The first of the known accuracies of a row."""
    return next((f"{name} {row[name]:.3f}" for name in _ACCURACIES if name in row), "no accuracy")


def _columns(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The usual metrics that any of the rows has."""
    return tuple(name for name in _FIRST if any(name in row for row in rows))


def _shown(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    shown = {name: row.get(name) for name in ("trial", "key", "state", *columns)}
    if row.get("latency_unstable") and "latency_ms" in shown:
        shown["latency_ms"] = f"{format_value(shown['latency_ms'])} unstable"
    return shown


def _estimate(estimate: Mapping[str, Any]) -> str:
    """How many candidates were scored, where their latency is from, and the best by measured accuracy."""
    costs, decided = estimate["costs"], estimate["decided"]
    model = estimate["latency_model"] or "measured for every candidate"
    trained = f"{costs['chosen']:.0f} of them trained in {costs['post_search_s']:.0f} s"
    best = f"{decided['key']} (trial {decided['trial']}, {_accuracy(decided)})" if decided else "none"
    return (
        f"\nEstimate by {estimate['estimator']}: {costs['candidates']:.0f} candidates in "
        f"{costs['search_s']:.0f} s, {trained}.\n"
        f"Latency of candidates: {model}.\n"
        f"Best by measured accuracy of those and {costs['samples']:.0f} samples: {best}."
    )

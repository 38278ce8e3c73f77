"""The study as a description and as columns."""

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from mlflow_nas.report.front import front_of
from mlflow_nas.types import Objective, TrialResult

__all__ = ["study_description", "table_columns"]

COMPARED = 100
_TRAINING_VIEW = "?workflowType=machine_learning"
"""Else MLflow's UI shows its view of traces."""
MOST_FAILURES = 20


def table_columns(results: Sequence[TrialResult], objectives: Sequence[Objective]) -> dict[str, list[object]]:
    """Column name to values, one per result: the objectives first, then the choices and all other metrics.

    The detector as given may be among the results; it is on no front. MLflow's UI reads a dot in a column's
    name as a path, so that there is none.
    """
    trials = [one for one in results if one.role != "reference"]
    front = {id(result) for result in front_of(trials, objectives)}
    columns: dict[str, list[object]] = {
        "trial": [result.number for result in results],
        "key": [result.key for result in results],
        "role": [result.role for result in results],
        "state": [result.state for result in results],
        "front": [id(result) in front for result in results],
    }
    choices = dict.fromkeys(name for result in results for name in result.architecture)
    metrics = dict.fromkeys(name for result in results for name in result.metrics)
    columns |= {one.name: [result.metrics.get(one.name) for result in results] for one in objectives}
    columns |= {f"arch_{name}": [result.architecture.get(name) for result in results] for name in choices}
    columns |= {name: [result.metrics.get(name) for result in results] for name in metrics}
    columns["latency_unstable"] = [result.latency_unstable for result in results]
    columns["error"] = [result.error for result in results]
    return {name.replace(".", "_"): values for name, values in columns.items()}


def study_description(
    results: Sequence[TrialResult],
    objectives: Sequence[Objective],
    *,
    experiment_id: str,
    charts_page: str,
    answer: Sequence[str],
    settings: Mapping[str, object],
) -> str:
    """Markdown for the study's run: what to ship, the front with a link to each run, failures, settings.

    MLflow's UI folds a description after a few lines, which hold the result.

    Args:
        results: of the study.
        objectives: of the study.
        experiment_id: of its run.
        charts_page: link to MLflow's charts of the study.
        answer: sentences: the reference, what to ship.
        settings: of the search.
    """
    front = front_of(results, objectives)
    lines = [*_broken(answer), "", *_result(results, front, objectives, experiment_id), ""]
    if front:
        lines += [*_front_table(front, objectives, experiment_id), "", "Report: `report.html`."]
    lines += _failures(results)
    chosen = ", ".join(f"{name} `{value}`" for name, value in settings.items())
    compare = f"[Compare the trials]({_comparison(results, experiment_id)})"
    charts = f"[charts of the study]({charts_page})"
    return "\n".join([*lines, "", f"Settings: {chosen}.", "", f"{compare}, {charts}."])


def _result(
    results: Sequence[TrialResult],
    front: Sequence[TrialResult],
    objectives: Sequence[Objective],
    experiment_id: str,
) -> list[str]:
    """The front's best of each objective, the baseline, and the number of trials by state."""
    lines = []
    for objective in objectives if front else ():
        best = (max if objective.maximize else min)(front, key=lambda one: one.metrics[objective.name])
        others = [f"{one.name} {_value(best, one.name)}" for one in objectives if one != objective]
        where = f"trial {_link(best, experiment_id)}, `{best.key}`"
        lines.append(
            f"**Best {objective.name} {_value(best, objective.name)}** "
            f"({'; '.join([*others, where])})" + _against(results, objective)
        )
    states = [result.state for result in results]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    lines.append(f"Trials: {counts or 'none'}; {len(front)} on the Pareto front.")
    return _broken(lines)


def _broken(lines: Sequence[str]) -> list[str]:
    """Lines of Markdown that stay lines: two spaces break one."""
    return [*(f"{line}  " for line in lines[:-1]), *lines[-1:]]


def _against(results: Sequence[TrialResult], objective: Objective) -> str:
    """The baseline's value."""
    baseline = next((one for one in results if one.role == "baseline"), None)
    if baseline is None or objective.name not in baseline.metrics:
        return ""
    return f"; baseline {_value(baseline, objective.name)}"


def _front_table(
    front: Sequence[TrialResult], objectives: Sequence[Objective], experiment_id: str
) -> list[str]:
    shown = [*(objective.name for objective in objectives), *_also_shown(front, objectives)]
    rows = [f"| trial | architecture | {' | '.join(shown)} |", f"|{'---|' * (2 + len(shown))}"]
    for result in front:
        values = [_value(result, name) for name in shown]
        key = f"`{result.key}`" + (" (latency unstable)" if result.latency_unstable else "")
        rows.append(f"| {' | '.join([_link(result, experiment_id), key, *values])} |")
    return rows


def _also_shown(front: Sequence[TrialResult], objectives: Sequence[Objective]) -> list[str]:
    """The speed-up over the reference, where latency was measured in turn with it."""
    taken = {objective.name for objective in objectives}
    return [name for name in ("speedup",) if name not in taken and any(name in one.metrics for one in front)]


def _failures(results: Sequence[TrialResult]) -> list[str]:
    """A list of the trials with an error, each with its reason."""
    failed = [result for result in results if result.error]
    lines = [
        f"- trial {result.number}, `{result.key}` ({result.state}): {' '.join(str(result.error).split())}"
        for result in failed[:MOST_FAILURES]
    ]
    if len(failed) > MOST_FAILURES:
        lines.append(f"- and {len(failed) - MOST_FAILURES} more, see `trials.json`")
    return ["", "Without a result:", "", *lines] if failed else []


def _link(result: TrialResult, experiment_id: str) -> str:
    if result.run_id is None:
        return str(result.number)
    page = f"#/experiments/{experiment_id}/runs/{result.run_id}{_TRAINING_VIEW}"
    return f"[{result.number}]({page})"


def _value(result: TrialResult, name: str) -> str:
    return f"{result.metrics[name]:.4g}" if name in result.metrics else "-"


def _comparison(results: Sequence[TrialResult], experiment_id: str) -> str:
    """The page of MLflow's UI that compares the newest complete trials, limited by the length of its URL."""
    runs = [result.run_id for result in results if result.state == "complete" and result.run_id]
    shown = json.dumps(runs[-COMPARED:], separators=(",", ":"))
    experiments = quote(json.dumps([experiment_id]))
    return f"#/compare-runs{_TRAINING_VIEW}&runs={quote(shown)}&experiments={experiments}"

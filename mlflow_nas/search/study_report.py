"""A study's report, read from Optuna's storage and the study's folder."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlflow_nas.report import ComparedImage, StudyReport
from mlflow_nas.search.estimation.search_cost import found_terms
from mlflow_nas.search.estimation.study import total_seconds
from mlflow_nas.search.evidence import read_evidence
from mlflow_nas.search.importance import choice_importance
from mlflow_nas.search.outcome import stored_outcome
from mlflow_nas.search.seed import seed_seconds
from mlflow_nas.search.session import GIVEN, load_store
from mlflow_nas.search.store import StudyStore
from mlflow_nas.types import Objective, TrialResult

__all__ = ["hypervolumes", "load_study_report"]


def load_study_report(
    study: str, storage: str | None, *, runs: Mapping[str, str] | None = None
) -> StudyReport:
    """Everything that a study's page shows but the speed-up table and the pages of MLflow.

    Args:
        study: its name.
        storage: of Optuna; None for the journal in the work folder.
        runs: a trial's number, or ROLE-KEY of what is none, to its MLflow run.

    Raises:
        ConfigError: there is no such study, or the storage can't be opened.
    """
    store, known = load_store(study, storage), runs or {}
    outcome, evidence = stored_outcome(store), read_evidence(study)
    results = [_with_run(one, known) for one in store.results()]
    given = store.value(GIVEN)
    finalists = [TrialResult.from_json(one) for one in outcome.get("finalists", ())]
    return StudyReport(
        study=study,
        objectives=store.objectives,
        results=tuple(results),
        given=_with_run(TrialResult.from_json(given), known) if given else None,
        finalists=tuple(_with_run(one, known) for one in finalists),
        champion=outcome.get("champion"),
        nearest=outcome.get("nearest"),
        answer=tuple(outcome.get("answer", ())),
        settings=_settings(store, outcome),
        facts=next((one.facts for one in reversed(results) if one.facts), {}),
        images=tuple(ComparedImage.from_json(one) for one in evidence.get("images", ())),
        thresholds=evidence.get("thresholds", {}),
        layers=tuple(evidence.get("layers", ())),
        importance=choice_importance(store),
        hypervolume=tuple(hypervolumes(results, store.objectives[0])),
        selection=store.value("nas.selection"),
        seconds=_seconds(store, results, finalists),
    )


def _with_run(result: TrialResult, runs: Mapping[str, str]) -> TrialResult:
    is_trial = result.role in ("trial", "baseline") and result.number is not None
    name = str(result.number) if is_trial else f"{result.role}-{result.key}"
    return replace(result, run_id=runs.get(name))


def _settings(store: StudyStore, outcome: Mapping[str, Any]) -> dict[str, str]:
    """What can't change in the study, and what the last search's end knew."""
    fixed = store.value("nas.fixed") or {}
    return {
        **{name.removeprefix("nas."): _text(value) for name, value in fixed.items() if value is not None},
        **{name.removeprefix("nas."): str(value) for name, value in outcome.get("settings", {}).items()},
        **({"goal": outcome["goal"]} if "goal" in outcome else {}),
        "reference latency ms": f"{store.value('nas.reference_latency_ms') or math.nan:.4g}",
    }


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _seconds(
    store: StudyStore, results: Sequence[TrialResult], finalists: Sequence[TrialResult]
) -> dict[str, float]:
    """Wall-clock of the parts of the search."""
    parts = {
        "seed network": seed_seconds(store),
        "trials": math.fsum(map(total_seconds, results)),
        "finalists": math.fsum(map(total_seconds, finalists)),
    }
    return {name: seconds for name, seconds in parts.items() if seconds}


def hypervolumes(results: Sequence[TrialResult], objective: Objective) -> list[float]:
    """The hypervolume of accuracy and latency ratio after each trial; 0 before the first complete one.

    Empty where no trial has a latency ratio. The reference point is accuracy 0 and a ratio of 1.5.
    """
    values = [
        found_terms(results[:count], objective).get("hypervolume", 0.0)
        for count in range(1, len(results) + 1)
    ]
    return values if any(values) else []

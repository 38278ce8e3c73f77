"""The outcome of a study, kept in its storage: what to ship, and what the report shows of it."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.registry import Goal
from mlflow_nas.report import front_of, pareto_png
from mlflow_nas.search.answer import champion_of, nearest_of
from mlflow_nas.search.estimation.search_cost import found_terms
from mlflow_nas.search.evidence import keep_evidence
from mlflow_nas.search.session import Session
from mlflow_nas.search.store import StudyStore
from mlflow_nas.types import Objective, TrialResult

__all__ = ["keep_outcome", "stored_outcome", "study_metrics"]

_OUTCOME = "nas.outcome"


def keep_outcome(
    session: Session,
    *,
    results: Sequence[TrialResult],
    shipped: Sequence[TrialResult],
    finalists: Sequence[TrialResult],
    reference: TrialResult | None,
    answer: Sequence[str],
    goal: Goal,
    settings: Mapping[str, object],
) -> None:
    """Store what to ship and why, with the evidence of it; the study's run gets it as metrics.

    Args:
        session: the study.
        results: its finished trials.
        shipped: what can be shipped: finalists, or the front where none were trained to the end.
        finalists: with the intervals of their accuracy.
        reference: what everything is compared with.
        answer: sentences of the search's end.
        goal: of the champion.
        settings: of the search, by name.
    """
    objectives = session.context.objectives
    complete = [one for one in shipped if one.state == "complete"]
    champion = nearest = None
    if reference is not None and objectives[0].name in reference.metrics:
        champion = champion_of(complete, reference, objectives=objectives, goal=goal)
        nearest = None if champion else nearest_of(complete, objectives[0].name, goal)
    shown = champion or nearest
    if reference is not None and shown is not None:
        keep_evidence(str(session.config.study), session.context, reference=reference, champion=shown)
    outcome = {
        "champion": champion and champion.key,
        "nearest": nearest and nearest.key,
        "answer": list(answer),
        "finalists": [one.as_json() for one in finalists],
        "goal": str(goal) or f"accuracy at most {goal.max_drop:g} below the reference's",
        "settings": {**session.context.tags, **{name: str(value) for name, value in settings.items()}},
    }
    session.store.keep(_OUTCOME, outcome)
    session.mirror.log_metrics(None, study_metrics(results, objectives, shown=shown))
    with tempfile.TemporaryDirectory() as folder:
        figure = pareto_png(
            results,
            objectives,
            Path(folder) / "pareto.png",
            finalists=finalists,
            champion=champion.key if champion else None,
            given=reference if reference is not None and reference.role == "reference" else None,
        )
        session.mirror.log_artifact(None, figure)


def stored_outcome(store: StudyStore) -> Mapping[str, Any]:
    """What `keep_outcome` stored; empty before the end of a study."""
    return store.value(_OUTCOME) or {}


def study_metrics(
    results: Sequence[TrialResult], objectives: Sequence[Objective], *, shown: TrialResult | None
) -> dict[str, float]:
    """The study's result as metrics of its run.

    Args:
        results: its finished trials.
        objectives: of the study.
        shown: the champion, or what comes nearest to the goal; None for neither.
    """
    name = objectives[0].name
    terms = found_terms(results, objectives[0])
    found = {"front_size": float(len(front_of(results, objectives)))}
    found |= {"hypervolume": terms["hypervolume"]} if "hypervolume" in terms else {}
    if "best_quality" in terms:
        found[f"best_{name}"] = terms["best_quality"] if objectives[0].maximize else -terms["best_quality"]
    if shown is not None:
        found |= {key: shown.metrics[key] for key in (name, "latency_ms", "speedup") if key in shown.metrics}
    return found

"""The end of a study in MLflow: models of the front, figures, tables, registered versions."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlflow_nas.board import EstimateBoard
from mlflow_nas.registry import Goal, Reconciliation, reconcile, register_model
from mlflow_nas.report import front_of, study_description, table_columns
from mlflow_nas.search.answer import answer, version_figures
from mlflow_nas.search.float_reference import int8_note
from mlflow_nas.search.held_out import tested, with_test_metrics
from mlflow_nas.search.intervals import interval_metrics, with_intervals
from mlflow_nas.search.outcome import keep_outcome
from mlflow_nas.search.seed_noise import seed_noise_of
from mlflow_nas.search.session import Session
from mlflow_nas.tracking import connect, default_uri, view_link
from mlflow_nas.trial import GivenFile, StudyContext, file_digest
from mlflow_nas.types import TrialResult

__all__ = ["Conclusion", "conclude"]

_log = logging.getLogger(__name__)

FLUSH_S = 60.0
"""How long the end of a search waits for MLflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """The end of a study.

    Attributes:
        results: all of them; the front and the baseline with the metrics of the test split, if there is one.
        front: non-dominated, fastest first.
        given: the detector as it was given; None without one.
        finalists: trained to the end, the baseline first; they are registered.
        answer: what to ship, and why, in sentences.
        registry: after it; None without a front, for float files, and where MLflow does not answer.
        notes: sentences for the user.
        run_id: of the study; None where MLflow was never reached, and so for the next.
        experiment_id: of the study.
    """

    results: tuple[TrialResult, ...]
    front: tuple[TrialResult, ...]
    given: TrialResult | None
    finalists: tuple[TrialResult, ...]
    answer: tuple[str, ...]
    registry: Reconciliation | None
    notes: tuple[str, ...] = ()
    run_id: str | None = None
    experiment_id: str | None = None


def conclude(
    session: Session,
    *,
    finalists: Sequence[TrialResult] = (),
    goal: Goal,
    model: str,
    settings: Mapping[str, object],
) -> Conclusion:
    """Measure the test split, report on the study's run, register the finalists, reconcile the registry.

    Args:
        session: the study.
        finalists: trained to the end; without any the front is registered.
        goal: what the champion has to reach.
        model: the registered model.
        settings: of the search, for its description.

    Raises:
        RegistryError: the registry refuses.
    """
    context, mirror = session.context, session.mirror
    known = session.given()
    given = known and tested(session, session.with_files(known))
    results = with_test_metrics(session, [_with_speedup(one, given) for one in session.store.results()])
    front = front_of(results, context.objectives)
    finalists = _measured(session, results, finalists, given)
    complete = [one for one in finalists if one.state == "complete"]
    shipped = complete or [session.with_files(one) for one in front]
    for result in shipped:
        session.publish(result)
    running = {str(one.number) for one in session.store.unfinished()}
    notes = mirror.reconcile([(session.run_of(one), one) for one in results], running=running)
    note = int8_note(session.store, context.board.name)
    notes += [one for one in (note, _estimated(context)) if one]
    for result in finalists:
        mirror.log_metrics(session.run_of(result), interval_metrics(result))
    front = [replace(one, run_id=mirror.run_id(session.run_of(one))) for one in front]
    run_id = mirror.run_id(None)
    reference = _reference(results, finalists, given)
    file = context.given.path.name if isinstance(context.given, GivenFile) else None
    sentences = answer(shipped, reference, objectives=context.objectives, goal=goal, file=file)
    _log_report(session, _with_runs(results, front), given, sentences, settings, described=bool(run_id))
    registry = None
    if shipped and context.precision == "int8":
        if waiting := mirror.flush(FLUSH_S):
            notes.append(_not_registered(waiting))
        else:
            registry = _register(session, shipped, reference, model, goal)
            notes += registry.notes
    keep_outcome(
        session,
        results=results,
        shipped=shipped,
        finalists=finalists,
        reference=reference,
        answer=sentences,
        goal=goal,
        settings=settings,
    )
    return Conclusion(
        results=tuple(results),
        front=tuple(front),
        given=given,
        finalists=tuple(finalists),
        answer=tuple(sentences),
        registry=registry,
        notes=tuple(notes),
        run_id=run_id,
        experiment_id=mirror.experiment_id if run_id else None,
    )


def _measured(
    session: Session,
    results: Sequence[TrialResult],
    finalists: Sequence[TrialResult],
    given: TrialResult | None,
) -> list[TrialResult]:
    """The finalists with their files, their speed-up as it is known now, and intervals."""
    with_files = [tested(session, session.with_files(_with_speedup(one, given))) for one in finalists]
    noise = seed_noise_of(session.store, session.context.task.metrics[0])
    reference = _reference(results, with_files, given)
    return with_intervals(session.context, with_files, reference, seed_sd=noise)


def _estimated(context: StudyContext) -> str | None:
    """The sentence for a board without hardware; None for others."""
    if not isinstance(context.board, EstimateBoard):
        return None
    return (
        f"All latencies are estimates of the runtime {context.runtime.name} for {context.board.name}, none "
        "was measured: search on the device before you compare it with others."
    )


def _not_registered(waiting: int) -> str:
    return (
        f"MLflow does not answer: {waiting} events wait in the outbox, nothing is registered yet. "
        "Start the server and rerun the command."
    )


def _reference(
    results: Sequence[TrialResult], finalists: Sequence[TrialResult], given: TrialResult | None
) -> TrialResult | None:
    """What versions are compared with: the detector as given, else the baseline, trained as they are."""
    if given is not None and given.state == "complete":
        return given
    trained = [one for one in finalists if one.key == _baseline_key(results)] or [
        one for one in results if one.role == "baseline"
    ]
    return next((one for one in trained if one.state == "complete"), None)


def _baseline_key(results: Sequence[TrialResult]) -> str | None:
    return next((one.key for one in results if one.role == "baseline"), None)


def _register(
    session: Session,
    shipped: Sequence[TrialResult],
    reference: TrialResult | None,
    model: str,
    goal: Goal,
) -> Reconciliation:
    client = connect(default_uri())
    as_given = [reference] if reference is not None and reference.role == "reference" else []
    for result in (*as_given, *shipped):
        run = session.run_of(result)
        register_model(
            client,
            model,
            run_id=str(session.mirror.run_id(run)),
            model_id=str(session.mirror.model_id(run)),
            tags=_version_tags(session, result, reference),
        )
    return reconcile(
        client,
        model,
        objectives=session.context.objectives,
        max_drop=goal.max_drop,
        speedup=goal.speedup,
        max_latency_ms=goal.max_latency_ms,
        board=session.context.board.name,
        trigger="search",
        experiment_id=session.mirror.experiment_id,
    )


def _version_tags(session: Session, result: TrialResult, reference: TrialResult | None) -> dict[str, str]:
    precision = "int8" if "int8" in result.artefacts else "fp32"
    tags = {
        **session.context.tags,
        "nas.precision": precision,
        "nas.study": str(session.config.study),
        "nas.key": result.key,
        "nas.sha256": file_digest(result.artefacts[precision]),
        **version_figures(result, session.context.objectives, reference),
    }
    return tags if result.number is None else {**tags, "nas.trial": str(result.number)}


def _with_runs(results: Sequence[TrialResult], front: Sequence[TrialResult]) -> list[TrialResult]:
    """The results, those of the front with their runs."""
    known = {one.number: one for one in front}
    return [known.get(one.number, one) for one in results]


def _log_report(
    session: Session,
    results: Sequence[TrialResult],
    given: TrialResult | None,
    sentences: Sequence[str],
    settings: Mapping[str, object],
    *,
    described: bool,
) -> None:
    mirror, objectives = session.mirror, session.context.objectives
    columns = table_columns([*results, *([given] if given else [])], objectives)
    mirror.log_table(None, list(columns), list(zip(*columns.values(), strict=True)), "trials.json")
    if described:  # its links need the experiment's id
        text = study_description(
            results,
            objectives,
            experiment_id=mirror.experiment_id,
            charts_page=view_link(mirror.experiment_id, str(session.config.study)),
            answer=sentences,
            settings=settings,
        )
        mirror.describe(None, text)


def _with_speedup(result: TrialResult, given: TrialResult | None) -> TrialResult:
    """The speed-up to the given detector's latency as it is known now: an unstable one is measured anew."""
    own, reference = (one.metrics.get("latency_ratio") if one else None for one in (result, given))
    if own is None or reference is None:
        return result
    return replace(result, metrics={**result.metrics, "speedup": reference / own})

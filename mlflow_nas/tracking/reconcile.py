"""Comparison of a study with MLflow at the end of a command; missing values are written again."""

import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from mlflow.entities import LifecycleStage, Run

from mlflow_nas.tracking import names
from mlflow_nas.tracking.delivery import Delivery, oldest
from mlflow_nas.tracking.events import Event, curve_points, finished
from mlflow_nas.tracking.runs import TrialRun
from mlflow_nas.types import TrialResult

__all__ = ["reconcile_runs"]


def reconcile_runs(
    delivery: Delivery,
    results: Sequence[tuple[TrialRun, TrialResult]],
    *,
    objectives: Sequence[str],
    running: Collection[str] = (),
) -> list[str]:
    """Update the study's runs to its results.

    Args:
        delivery: of the study's events.
        results: all ended trials.
        objectives: their names.
        running: the uids of trials that some worker evaluates now; every other run without a result ends as
            KILLED.

    Returns:
        One sentence per run that was changed; none when MLflow had everything.

    Raises:
        MlflowException, OSError: MLflow does not answer.
        NasError: the experiment is deleted, or can't be asked for.
    """
    messages, runs = _without_doubles(delivery)
    study = Event(kind="start", trial=None, time_ms=_now_ms())
    if delivery.uid(None) not in runs:
        delivery.deliver([study])
    for trial, result in results:
        messages += _reconcile(delivery, trial, result, runs.pop(delivery.uid(trial), None), objectives)
    left = {delivery.uid(None), *(delivery.uid_of(uid) for uid in running)}
    for uid, run in runs.items():
        if uid not in left and run.info.status == "RUNNING" and not _is_deleted(run):
            delivery.client.set_terminated(run.info.run_id, "KILLED")
            messages.append(
                f"Run {run.info.run_id} of {uid} was left running by a dead worker: it ends as KILLED."
            )
    return messages


def _without_doubles(delivery: Delivery) -> tuple[list[str], dict[str, Run]]:
    """The run that counts of each uid; others, which two machines created at once, are deleted."""
    of_uid: dict[str, list[Run]] = defaultdict(list)
    for run in delivery.runs():
        of_uid[run.data.tags[names.UID]].append(run)
    kept, messages = {}, []
    for uid, runs in of_uid.items():
        first = oldest(runs)
        for run in runs:
            if run is not first and not _is_deleted(run):
                delivery.client.delete_run(run.info.run_id)
                messages.append(f"Run {run.info.run_id} was a second one of {uid}: it is deleted.")
        if first is not None:
            kept[uid] = first
    return messages, kept


def _reconcile(
    delivery: Delivery, trial: TrialRun, result: TrialResult, run: Run | None, objectives: Sequence[str]
) -> list[str]:
    now_ms = _now_ms()
    end = finished(trial, result, objectives=objectives, time_ms=now_ms)
    curve = curve_points(result.history, objectives=objectives, time_ms=now_ms)
    if run is None:
        message = f"Trial {trial.uid} was missing in MLflow: it is written again."
    elif _is_deleted(run):
        delivery.client.restore_run(run.info.run_id)
        message = f"Run {run.info.run_id} of trial {trial.uid} was deleted in MLflow: it is restored."
    else:
        message = f"Run {run.info.run_id} of trial {trial.uid} was incomplete in MLflow: it is completed."
    if run is not None:
        end = replace(end, points=_other_points(end, run), tags=_other_tags(end, run, delivery.run_id(None)))
        last = {name: value for name, value, _, step in curve if step == len(result.history)}
        if last.items() <= run.data.metrics.items():
            curve = []
        is_same = not (end.points or end.tags or curve) and run.info.status == end.status
        if is_same and not _is_deleted(run) and _has_params(trial, run):
            return []
    delivery.forget(trial.uid)
    delivery.deliver([Event(kind="start", trial=trial, time_ms=now_ms), replace(end, curve=curve)])
    return [message]


def _other_points(end: Event, run: Run) -> list[tuple[str, float, int, int]]:
    return [point for point in end.points if run.data.metrics.get(point[0]) != point[1]]


def _other_tags(end: Event, run: Run, parent: str | None) -> dict[str, str]:
    """The tags that differ; an error that no longer applies becomes empty."""
    settled = {name: "" for name in (names.ERROR, names.LATENCY_UNSTABLE) if run.data.tags.get(name)}
    expected: Mapping[str, str] = {**settled, **end.tags, **({names.PARENT: parent} if parent else {})}
    return {name: value for name, value in expected.items() if run.data.tags.get(name) != value}


def _has_params(trial: TrialRun, run: Run) -> bool:
    return {f"{names.ARCHITECTURE}{name}" for name in trial.architecture} <= run.data.params.keys()


def _is_deleted(run: Run) -> bool:
    return bool(run.info.lifecycle_stage == LifecycleStage.DELETED)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

"""Runs of commands that are no trials: a profile, a selection of a strategy, a measurement."""

import datetime
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlflow import MlflowClient

from mlflow_nas.tracking import names
from mlflow_nas.tracking.artifacts import log_file
from mlflow_nas.tracking.batch import as_points, log_values
from mlflow_nas.tracking.server import DEFAULT_EXPERIMENT, experiment_id, server_call

__all__ = [
    "describe",
    "finish_selection",
    "log_changes",
    "log_command",
    "log_measurement",
    "log_profile",
    "start_selection",
]

CHANGES_FILE = "changes.jsonl"


@server_call("log the profile", remedy="check that it runs, then rerun the same command")
def log_profile(
    client: MlflowClient,
    *,
    experiment_id: str,
    run_id: str | None,
    name: str,
    params: Mapping[str, object],
    metrics: Mapping[str, float],
    facts: Mapping[str, str],
    tags: Mapping[str, str],
) -> str:
    """Write a profile into a run; files may be stored with it afterwards.

    Args:
        client: the MLflow client.
        experiment_id: where the run is made.
        run_id: the run that `mlflow run` created; None creates one.
        name: of the run.
        params: the command's options; those that `mlflow run` has logged are left as they are.
        metrics: name to value.
        facts: of the board, as tags `nas.board.*`.
        tags: further tags, such as nas.board.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    named = {names.ROLE: "profile", **tags, **{f"{names.FACT}{fact}": value for fact, value in facts.items()}}
    own = _open(client, experiment_id, run_id, name, params, named)
    log_values(client, own, points=as_points(metrics, _now_ms()))
    client.set_terminated(own)
    return own


@server_call("log the command", remedy="check that it runs, then rerun the same command")
def log_command(
    client: MlflowClient,
    *,
    experiment_id: str,
    run_id: str | None,
    name: str,
    role: str,
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> str:
    """Write the record of a command that changed the registry or a device, as a finished run.

    Args:
        client: the MLflow client.
        experiment_id: where the run is made.
        run_id: the run that `mlflow run` created; None creates one.
        name: of the run.
        role: such as promotion or deployment.
        metrics: of the run.
        tags: further tags.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    own = _open(client, experiment_id, run_id, name, {}, {names.ROLE: role, **tags})
    log_values(client, own, points=as_points(metrics, _now_ms()))
    client.set_terminated(own)
    return own


def log_changes(
    client: MlflowClient,
    changes: Sequence[Mapping[str, object]],
    *,
    name: str,
    role: str,
    trigger: str,
    tags: Mapping[str, str],
    run_id: str | None = None,
    experiment: str | None = None,
) -> str:
    """Record what was changed: each change as a line of an artifact, with time and trigger.

    Args:
        client: the MLflow client.
        changes: plain JSON values of each.
        name: of the run.
        role: such as promotion or deployment; the artifact is changes.jsonl.
        trigger: by which the changes came, such as search, promote or webhook.
        tags: further tags.
        run_id: the run to use; None makes one.
        experiment: id of its experiment; None for that of MLFLOW_EXPERIMENT_NAME, else mlflow-nas.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    lines = [json.dumps({"time": now, "trigger": trigger, **change}) for change in changes]
    own = log_command(
        client,
        experiment_id="" if run_id else experiment or experiment_id(client, DEFAULT_EXPERIMENT),
        run_id=run_id,
        name=name,
        role=role,
        metrics={"changes": float(len(changes))},
        tags={names.TRIGGER: trigger, **tags},
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CHANGES_FILE
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        log_file(client, own, file)
    return own


@server_call("open the selection's run")
def start_selection(
    client: MlflowClient,
    *,
    experiment_id: str,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
    parent_id: str | None = None,
    run_id: str | None = None,
) -> str:
    """Log how a selection will be made, before any architecture's quality is looked at.

    Args:
        client: the MLflow client.
        experiment_id: where the run is made.
        name: of the run.
        params: the options.
        tags: further tags.
        parent_id: the study's run; None for a table.
        run_id: the run that `mlflow run` created; None creates one.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    parent = {names.PARENT: parent_id} if parent_id else {}
    return _open(client, experiment_id, run_id, name, params, {names.ROLE: "selection", **parent, **tags})


@server_call("log the selection")
def finish_selection(
    client: MlflowClient, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Log the result and end the run; a number that has no value is left out.

    Raises:
        RegistryError: MLflow does not answer.
    """
    log_values(client, run_id, points=as_points(metrics, _now_ms()), tags=tags)
    client.set_terminated(run_id)


@server_call("log the measurement")
def log_measurement(
    client: MlflowClient, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Add metrics and tags to a run that is not a trial.

    Raises:
        RegistryError: MLflow does not answer.
    """
    log_values(client, run_id, points=as_points(metrics, _now_ms()), tags=tags)


@server_call("write the description")
def describe(client: MlflowClient, run_id: str, markdown: str) -> None:
    """Set the run's description, at most 8,000 characters of it.

    Raises:
        RegistryError: MLflow does not answer.
    """
    log_values(client, run_id, tags={names.NOTE: markdown})


def _open(
    client: MlflowClient,
    experiment_id: str,
    run_id: str | None,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str],
) -> str:
    """A running run with these params and tags: the project's, whose own params stay, or a fresh one."""
    run = (
        client.get_run(run_id) if run_id else client.create_run(experiment_id, tags=dict(tags), run_name=name)
    )
    own = str(run.info.run_id)
    missing = {param: value for param, value in params.items() if param not in run.data.params}
    log_values(client, own, params=missing, tags=tags)
    client.update_run(own, status="RUNNING", name=name)
    return own


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

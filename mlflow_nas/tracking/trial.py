"""A trial is a child run: opened when it starts, written in one batch when it ends."""

import math
import time
from collections.abc import Mapping
from typing import Literal, TypeAlias

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlflow_nas.tracking import names
from mlflow_nas.tracking.read import trial_runs
from mlflow_nas.tracking.server import server_call
from mlflow_nas.types import Evaluation

__all__ = ["TrialRole", "fail_stale", "finish_trial", "interrupt_trial", "start_trial"]

TAG_LENGTH = 8_000
TrialRole: TypeAlias = Literal["trial", "baseline", "seed", "repeat"]


@server_call("start the trial's run")
def start_trial(
    client: MlflowClient,
    *,
    experiment_id: str,
    parent_id: str | None,
    study: str | None,
    number: int | None,
    role: TrialRole,
    name: str,
    tags: Mapping[str, str],
    run_id: str | None = None,
) -> str:
    """Open the run of one trial.

    Args:
        client: the MLflow client.
        experiment_id: the experiment of the study.
        parent_id: the study's run; None for a trial on its own.
        study: the study's name; None for a trial on its own.
        number: the trial's number in the study; None for the seed network, which is no trial.
        role: baseline architecture, another one, the training of the seed network, or a trial's second
            training.
        name: of the run, such as the architecture's key.
        tags: further tags, such as nas.board, nas.space and nas.dataset.
        run_id: the run that `mlflow run` created, which then is the trial's; None creates one.

    Returns:
        The run id of the trial.

    Raises:
        RegistryError: MLflow does not answer.
    """
    trial = None if number is None else str(number)
    links = {names.STUDY: study, names.PARENT: parent_id, names.TRIAL: trial}
    tags = {
        **tags,
        names.ROLE: role,
        **{tag: value for tag, value in links.items() if value is not None},
    }
    if run_id is None:
        return str(client.create_run(experiment_id, tags=tags, run_name=name).info.run_id)
    client.log_batch(run_id, tags=[RunTag(*item) for item in tags.items()], synchronous=True)
    client.update_run(run_id, status="RUNNING", name=name)
    return run_id


@server_call("log the trial")
def finish_trial(
    client: MlflowClient,
    run_id: str,
    evaluation: Evaluation,
    *,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write the evaluation into the trial's run, in one batch, and end the run.

    Params `arch.*`, the metrics, the constraints (metrics `constraint/*`), the learning curve (metrics
    `epoch/*`, the first epoch at step 1), the board's facts (tags `nas.board.*`) and the tags nas.state,
    nas.key, of a latency that can't be trusted nas.latency_unstable and, of a failed trial, nas.error. A
    metric that is NaN or infinite is left out: a failed measurement is absent.

    Args:
        client: the MLflow client.
        run_id: the trial's run.
        evaluation: what is known of the candidate.
        tags: further tags.

    Raises:
        RegistryError: MLflow does not answer.
    """
    named = {names.STATE: evaluation.state, names.KEY: evaluation.key, **(tags or {})}
    named |= {f"{names.FACT}{fact}": value for fact, value in evaluation.facts.items()}
    if evaluation.latency_unstable:
        named[names.LATENCY_UNSTABLE] = "true"
    if evaluation.error:
        named[names.ERROR] = evaluation.error
    client.log_batch(
        run_id,
        metrics=_metrics(evaluation),
        params=[Param(f"{names.ARCHITECTURE}{name}", str(v)) for name, v in evaluation.architecture.items()],
        tags=[RunTag(tag, value[:TAG_LENGTH]) for tag, value in named.items()],
        synchronous=True,
    )
    client.set_terminated(run_id, "FAILED" if evaluation.state == "failed" else "FINISHED")


@server_call("end the interrupted trial")
def interrupt_trial(client: MlflowClient, run_id: str) -> None:
    """End the run of a trial that was interrupted: status KILLED.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.set_terminated(run_id, "KILLED")


@server_call("end the trials of a killed process")
def fail_stale(client: MlflowClient, experiment_id: str, parent_id: str) -> list[str]:
    """End the trials that a killed process left running.

    Call it before the first trial of a study that no other process works on.

    Returns:
        The run ids that were ended, with status KILLED and nas.state failed.

    Raises:
        RegistryError: MLflow does not answer.
    """
    stale = [
        str(run.info.run_id)
        for run in trial_runs(client, experiment_id, parent_id, roles=("trial", "baseline", "seed", "repeat"))
        if run.info.status == "RUNNING"
    ]
    tags = [RunTag(names.STATE, "failed"), RunTag(names.ERROR, "the process ended before the trial did")]
    for run_id in stale:
        client.log_batch(run_id, tags=tags, synchronous=True)
        client.set_terminated(run_id, "KILLED")
    return stale


def _metrics(evaluation: Evaluation) -> list[Metric]:
    now_ms = time.time_ns() // 1_000_000
    values = [(name, value, 0) for name, value in evaluation.metrics.items()]
    values += [(f"{names.CONSTRAINT}{name}", value, 0) for name, value in evaluation.constraints.items()]
    values += [
        (f"{names.CURVE}{name}", value, epoch)
        for epoch, metrics in enumerate(evaluation.history, start=1)
        for name, value in metrics.items()
    ]
    return [Metric(name, float(value), now_ms, step) for name, value, step in values if math.isfinite(value)]

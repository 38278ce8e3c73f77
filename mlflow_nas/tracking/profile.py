"""A profile is a run of its own: times as metrics, what was profiled as params, the board's facts as tags."""

import time
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlflow_nas.tracking import names
from mlflow_nas.tracking.server import server_call

__all__ = ["log_profile"]

ROLE = "profile"


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
        facts: what the board said of itself, as tags `nas.board.*`.
        tags: further tags, such as nas.board.

    Returns:
        The run's id.

    Raises:
        RegistryError: MLflow does not answer.
    """
    run = (
        client.get_run(run_id)
        if run_id
        else client.create_run(experiment_id, tags={names.ROLE: ROLE}, run_name=name)
    )
    own = str(run.info.run_id)
    now_ms = time.time_ns() // 1_000_000
    named = {names.ROLE: ROLE, **tags, **{f"{names.FACT}{fact}": value for fact, value in facts.items()}}
    client.log_batch(
        own,
        metrics=[Metric(metric, float(value), now_ms, 0) for metric, value in metrics.items()],
        params=[Param(param, str(value)) for param, value in params.items() if param not in run.data.params],
        tags=[RunTag(tag, value) for tag, value in named.items()],
        synchronous=True,
    )
    client.update_run(own, name=name)
    client.set_terminated(own)
    return own

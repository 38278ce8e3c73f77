"""A selection of an estimation strategy is a run of its own, opened before any result is known."""

import math
import time
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlflow_nas.tracking import names
from mlflow_nas.tracking.server import server_call

__all__ = ["finish_selection", "start_selection"]

ROLE = "selection"
MOST_METRICS = 1_000
"""MLflow refuses more in one request."""


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
    """Write down how a selection will be made, before any architecture's quality is looked at.

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
    own = run_id or str(client.create_run(experiment_id, tags={names.ROLE: ROLE}, run_name=name).info.run_id)
    parent = {names.PARENT: parent_id} if parent_id else {}
    known = client.get_run(own).data.params
    client.log_batch(
        own,
        params=[Param(param, str(value)) for param, value in params.items() if param not in known],
        tags=[RunTag(tag, value) for tag, value in {names.ROLE: ROLE, **parent, **tags}.items()],
        synchronous=True,
    )
    client.update_run(own, status="RUNNING", name=name)
    return own


@server_call("log the selection")
def finish_selection(
    client: MlflowClient, run_id: str, *, metrics: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    """Write the result and end the run; a number that has no value is left out.

    Raises:
        RegistryError: MLflow does not answer.
    """
    now_ms = time.time_ns() // 1_000_000
    known = [Metric(name, float(value), now_ms, 0) for name, value in metrics.items() if math.isfinite(value)]
    for first in range(0, len(known), MOST_METRICS):
        client.log_batch(run_id, metrics=known[first : first + MOST_METRICS], synchronous=True)
    client.log_batch(run_id, tags=[RunTag(tag, value) for tag, value in tags.items()], synchronous=True)
    client.set_terminated(run_id)

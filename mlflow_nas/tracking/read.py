"""Runs back to evaluations, so that a report needs nothing but MLflow."""

import re
from collections.abc import Collection, Mapping
from typing import TypeVar, cast, get_args

from mlflow import MlflowClient
from mlflow.entities import Run

from mlflow_nas.errors import RegistryError
from mlflow_nas.tracking import names
from mlflow_nas.tracking.server import server_call
from mlflow_nas.types import Choice, Evaluation, TrialState

__all__ = ["evaluation_of", "learning_curve", "trial_runs"]

V = TypeVar("V")

PAGE = 500
INTEGER = re.compile(r"[+-]?\d+")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?", re.IGNORECASE)


@server_call("list the trials")
def trial_runs(
    client: MlflowClient,
    experiment_id: str,
    parent_id: str,
    *,
    roles: Collection[str] = ("trial", "baseline"),
) -> list[Run]:
    """All runs of these roles below a study's run, in the order they started, running ones included.

    Raises:
        RegistryError: MLflow does not answer.
    """
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{names.PARENT}` = '{parent_id}'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += [run for run in page if run.data.tags.get(names.ROLE) in roles]
        token = page.token
        if not token:
            return runs


def evaluation_of(run: Run) -> Evaluation:
    """Read an ended trial's run back into the evaluation it was written from.

    All but the files, the learning curve, and metrics that were no number. MLflow keeps params as text:
    choices that look like a whole number come back as int, other decimal numbers as float, the rest as str.

    Raises:
        RegistryError: the run is not an ended trial.
    """
    tags, run_id = run.data.tags, run.info.run_id
    number, state = tags.get(names.TRIAL, ""), tags.get(names.STATE, "")
    if not number.isdecimal() or state not in get_args(TrialState):
        raise RegistryError(
            f"run {run_id} has {names.TRIAL}={number!r} and {names.STATE}={state!r}, an ended trial has a "
            f"number and one of {', '.join(get_args(TrialState))}; read only runs that finish_trial has ended"
        )
    architecture = _below(names.ARCHITECTURE, run.data.params)
    return Evaluation(
        number=int(number),
        key=tags.get(names.KEY, ""),
        architecture={name: _choice(value) for name, value in architecture.items()},
        state=cast("TrialState", state),
        metrics=_own_metrics(run.data.metrics),
        constraints={n: float(v) for n, v in _below(names.CONSTRAINT, run.data.metrics).items()},
        facts=_below(names.FACT, tags),
        latency_unstable=tags.get(names.LATENCY_UNSTABLE) == "true",
        error=tags.get(names.ERROR),
        run_id=run_id,
    )


@server_call("read the learning curve")
def learning_curve(client: MlflowClient, run_id: str) -> tuple[dict[str, float], ...]:
    """The metrics `epoch/*` of an ended trial's run, one mapping per epoch; a metric may miss in one.

    Raises:
        RegistryError: MLflow does not answer, or has no such run.
    """
    epochs: dict[int, dict[str, float]] = {}
    for name in client.get_run(run_id).data.metrics:
        if name.startswith(names.CURVE):
            for point in client.get_metric_history(run_id, name):
                epochs.setdefault(point.step, {})[name.removeprefix(names.CURVE)] = point.value
    return tuple(epochs[step] for step in sorted(epochs))


def _own_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    foreign = (names.CONSTRAINT, names.CURVE)
    return {name: float(value) for name, value in metrics.items() if not name.startswith(foreign)}


def _below(prefix: str, values: Mapping[str, V]) -> dict[str, V]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _choice(text: str) -> Choice:
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text

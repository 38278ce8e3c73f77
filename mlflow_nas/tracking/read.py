"""Results read back from runs, so that a report needs only MLflow."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar, cast, get_args

from mlflow import MlflowClient
from mlflow.entities import Run

from mlflow_nas.errors import ConfigError, RegistryError
from mlflow_nas.tracking import names
from mlflow_nas.tracking.batch import limit_of
from mlflow_nas.tracking.server import server_call
from mlflow_nas.types import Choice, Role, TrialResult, TrialState

__all__ = ["StudyRuns", "find_study", "read_results", "result_of", "runs_of_study", "trial_runs"]

V = TypeVar("V")

PAGE = 500
INTEGER = re.compile(r"[+-]?\d+")
DECIMAL = re.compile(r"[+-]?(\d+\.\d*|\.\d+|\d+(?=e))(e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class StudyRuns:
    """The runs of a study.

    Attributes:
        experiment_id: of its experiment.
        run_id: of the study itself.
        runs: a trial's number, or ROLE-KEY of what is none, to its run.
    """

    experiment_id: str
    run_id: str
    runs: Mapping[str, str]


@server_call("read the study's runs")
def runs_of_study(client: MlflowClient, experiment_id: str, uid: str) -> StudyRuns | None:
    """The runs of a study; None where the experiment has none of it.

    Args:
        client: the MLflow client.
        experiment_id: of its experiment.
        uid: the study's unique id, of its storage.

    Raises:
        RegistryError: MLflow does not answer.
    """
    runs: dict[str, str] = {}
    token: str | None = ""
    while token is not None:
        query = f"tags.`{names.UID}` LIKE '{uid}/%'"
        page = client.search_runs([experiment_id], query, max_results=PAGE, page_token=token or None)
        runs |= {run.data.tags[names.UID].partition("/")[2]: str(run.info.run_id) for run in page}
        token = page.token or None
    study = runs.pop("study", None)
    return StudyRuns(experiment_id, study, runs) if study else None


@server_call("read the study")
def read_results(client: MlflowClient, experiment: str, study: str) -> list[TrialResult]:
    """The ended trials of a study, its reference among them, in the order of their numbers.

    Without the files, the learning curve, the seconds of each step, and metrics that are no number.

    Args:
        client: the MLflow client.
        experiment: its name.
        study: its name.

    Raises:
        ConfigError: the experiment has no such study.
        RegistryError: MLflow does not answer.
    """
    run = find_study(client, experiment, study)
    ended = [trial for trial in trial_runs(client, run) if names.STATE in trial.data.tags]
    return sorted(map(result_of, ended), key=lambda result: -1 if result.number is None else result.number)


def find_study(client: MlflowClient, experiment: str, study: str) -> Run:
    """The run of a study; of several with this name the newest.

    Raises:
        ConfigError: the experiment has no such study, or the name holds a quotation mark.
        MlflowException: MLflow does not answer.
    """
    if "'" in study:
        raise ConfigError(f"study {study!r} holds a quotation mark, MLflow can't search for it; leave it out")
    known = client.get_experiment_by_name(experiment)
    found = known and client.search_runs(
        [known.experiment_id],
        f"tags.`{names.STUDY}` = '{study}' AND tags.`{names.ROLE}` = 'study'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    if not found:
        raise ConfigError(
            f"There is no study {study!r} in the experiment {experiment!r}: name one with --study, and its "
            "experiment with --experiment."
        )
    return found[0]


def trial_runs(
    client: MlflowClient, study: Run, *, roles: Collection[str] = ("trial", "baseline")
) -> list[Run]:
    """All runs of these roles below a study's run, in the order they started, running ones included.

    Raises:
        MlflowException: MLflow does not answer.
    """
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [study.info.experiment_id],
            f"tags.`{names.PARENT}` = '{study.info.run_id}'",
            max_results=PAGE,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += [run for run in page if run.data.tags.get(names.ROLE) in roles]
        token = page.token
        if not token:
            return runs


def result_of(run: Run) -> TrialResult:
    """Read an ended trial's run back into the result that it was written from.

    MLflow keeps params as text: choices that look like a whole number come back as int, other decimal numbers
    as float, the rest as str.

    Raises:
        RegistryError: the run is not an ended trial.
    """
    tags, run_id = run.data.tags, str(run.info.run_id)
    state, role = tags.get(names.STATE, ""), tags.get(names.ROLE, "")
    if state not in get_args(TrialState) or role not in get_args(Role):
        raise RegistryError(
            f"run {run_id} has {names.STATE}={state!r} and {names.ROLE}={role!r}, an ended trial has one of "
            f"{', '.join(get_args(TrialState))} and one of {', '.join(get_args(Role))}; name a trial's run"
        )
    limits = _below(names.CONSTRAINT, run.data.metrics)
    return TrialResult(
        key=tags.get(names.KEY, ""),
        architecture={
            name: _choice(text) for name, text in _below(names.ARCHITECTURE, run.data.params).items()
        },
        state=cast("TrialState", state),
        role=cast("Role", role),
        number=int(tags[names.TRIAL]) if names.TRIAL in tags else None,
        metrics=_own_metrics(run.data.metrics),
        constraints={limit_of(name): float(value) for name, value in limits.items()},
        facts=_below(names.FACT, tags),
        latency_unstable=tags.get(names.LATENCY_UNSTABLE) == "true",
        error=tags.get(names.ERROR) or None,
        run_id=run_id,
    )


def _own_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    foreign = (names.CONSTRAINT, names.CURVE)
    return {name: float(value) for name, value in metrics.items() if not name.startswith(foreign)}


def _below(prefix: str, values: Mapping[str, V]) -> dict[str, V]:
    return {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}


def _choice(text: str) -> Choice:
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if DECIMAL.fullmatch(text) else text

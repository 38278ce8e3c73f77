"""Costs and results of a study's searches, read back from its run."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient

from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.tracking import names
from mlflow_nas.tracking.read import find_study, result_of, trial_runs
from mlflow_nas.tracking.server import server_call

__all__ = ["StudyCosts", "study_costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCosts:
    """Costs and results in the runs of a study and its trials.

    Attributes:
        study: its name.
        terms: strategy to term to value.
        tags: of the study's run.
        selection: metrics of the study's last selection; empty without.
        qualities: mAP of the trials that no estimate chose, in their order.
    """

    study: str
    terms: Mapping[str, Mapping[str, float]]
    tags: Mapping[str, str]
    selection: Mapping[str, float]
    qualities: tuple[float, ...]


@server_call("read the study's costs")
def study_costs(client: MlflowClient, experiment: str, study: str) -> StudyCosts:
    """Read the costs of a study's searches.

    Args:
        client: the MLflow client.
        experiment: its name.
        study: its name.

    Raises:
        ConfigError: there is no such study, or no search of it has ended.
        RegistryError: MLflow does not answer.
    """
    run = find_study(client, experiment, study)
    terms = _terms(run.data.metrics)
    if not terms:
        raise ConfigError(
            f"No search of the study {study!r} has ended, which its costs need: rerun the search."
        )
    selection = run.data.tags.get(names.SELECTION)
    accuracy = TASK_METRICS[run.data.tags.get(names.TASK, "detection")][0]
    objective = (run.data.params.get("search.objectives") or accuracy).partition(",")[0]
    results = [
        result_of(trial)
        for trial in trial_runs(client, run)
        if names.STATE in trial.data.tags and names.ESTIMATOR not in trial.data.tags
    ]
    return StudyCosts(
        study=study,
        terms=terms,
        tags=dict(run.data.tags),
        selection=dict(client.get_run(selection).data.metrics) if selection else {},
        qualities=tuple(
            result.metrics[objective]
            for result in sorted(results, key=lambda one: one.number or 0)
            if objective in result.metrics
        ),
    )


def _terms(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    terms: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        estimator, slash, term = name.removeprefix(names.COST).partition("/")
        if name.startswith(names.COST) and slash:  # `cost.finalists_s` is no strategy's
            terms.setdefault(estimator, {})[term] = float(value)
    return terms

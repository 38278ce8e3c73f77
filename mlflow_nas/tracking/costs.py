"""What the searches of a study cost and found, read back from its run."""

from collections.abc import Mapping
from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run

from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import names
from mlflow_nas.tracking.read import evaluation_of, trial_runs
from mlflow_nas.tracking.server import server_call
from mlflow_nas.tracking.study import find_study

__all__ = ["StudyCosts", "study_costs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyCosts:
    """What a study's run and its trials say.

    Attributes:
        study: its name.
        terms: strategy to term to value.
        tags: of the study's run.
        selection: metrics of the study's last selection; empty without.
        maps: mAP of the trials that no estimate chose, in their order.
    """

    study: str
    terms: Mapping[str, Mapping[str, float]]
    tags: Mapping[str, str]
    selection: Mapping[str, float]
    maps: tuple[float, ...]


@server_call("read the study's costs")
def study_costs(client: MlflowClient, experiment: str, study: str) -> StudyCosts:
    """Read a study's account.

    Args:
        client: the MLflow client.
        experiment: its name.
        study: its name.

    Raises:
        ConfigError: there is no such study, or no search of it has ended.
        RegistryError: MLflow does not answer.
    """
    found = client.get_experiment_by_name(experiment)
    run = find_study(client, str(found.experiment_id), study) if found else None
    if run is None:
        raise ConfigError(
            f"There is no study {study!r} in the experiment {experiment!r}: name one with --study, and its "
            "experiment with --experiment."
        )
    terms = _terms(run)
    if not terms:
        raise ConfigError(f"No search of the study {study!r} has ended: its costs are logged at the end.")
    selection = run.data.tags.get("nas.selection")
    trials = [
        evaluation_of(trial)
        for trial in trial_runs(client, run.info.experiment_id, run.info.run_id)
        if names.STATE in trial.data.tags and names.ESTIMATOR not in trial.data.tags
    ]
    return StudyCosts(
        study=study,
        terms=terms,
        tags=dict(run.data.tags),
        selection=dict(client.get_run(selection).data.metrics) if selection else {},
        maps=tuple(
            trial.metrics["map"]
            for trial in sorted(trials, key=lambda one: one.number)
            if "map" in trial.metrics
        ),
    )


def _terms(run: Run) -> dict[str, dict[str, float]]:
    terms: dict[str, dict[str, float]] = {}
    for name, value in run.data.metrics.items():
        if name.startswith(names.COST):
            estimator, _, term = name.removeprefix(names.COST).partition("/")
            terms.setdefault(estimator, {})[term] = float(value)
    return terms

"""A study is a parent run: opened once, continued by every later call of the same name."""

from collections.abc import Mapping
from typing import Literal

from mlflow import MlflowClient
from mlflow.entities import Experiment, Param, Run, RunTag

from mlflow_nas.errors import ConfigError
from mlflow_nas.tracking import names
from mlflow_nas.tracking.server import server_call

__all__ = ["close_study", "experiment_id", "experiment_of", "find_study", "open_study"]

FIXED = {
    names.DATASET: ("data set", "--data, --classes, --test-fraction, --on-bad-image and --val-views"),
    names.TEST_DATASET: ("test split", "--data, --classes, --test-fraction and --on-bad-image"),
    names.BOARD: ("board", "--board"),
    names.SPACE: ("search space", "--space"),
    names.CHOICES: ("choices", "--space and --set"),
    names.PRECISION: ("precision", "--precision"),
    names.TRAINING: (
        "training",
        "--epochs, --batch-size, --recipe, --freeze, --aspect, --weights, --seed-epochs and --seed",
    ),
    names.THREADS: ("threads on the board", "--threads"),
}
"""What a study can't change midway, by tag: its name and its option."""


@server_call("find or create the experiment")
def experiment_id(client: MlflowClient, name: str) -> str:
    """Id of the experiment, created when there is none of that name.

    Raises:
        ConfigError: the experiment is deleted.
        RegistryError: MLflow does not answer.
    """
    found: Experiment | None = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise ConfigError(
            f"experiment {name!r} is deleted; restore it with "
            f"`mlflow experiments restore -x {found.experiment_id}` or choose another name"
        )
    return str(found.experiment_id)


@server_call("find the run")
def experiment_of(client: MlflowClient, run_id: str) -> str:
    """Id of the experiment that holds a run, such as the one that `mlflow run` created.

    Raises:
        RegistryError: MLflow does not answer or has no such run.
    """
    return str(client.get_run(run_id).info.experiment_id)


@server_call("open the study")
def open_study(
    client: MlflowClient,
    *,
    experiment_id: str,
    study: str,
    tags: Mapping[str, str],
    params: Mapping[str, object],
    run_id: str | None = None,
) -> str:
    """Open the study's parent run, or continue it when the experiment has one of that name.

    Call it from one process at a time: MLflow has no unique names for runs.

    Args:
        client: the MLflow client.
        experiment_id: the experiment to look and create in.
        study: the study's name; it names the run.
        tags: further tags; nas.dataset, nas.test_dataset, nas.board, nas.space, nas.choices, nas.precision,
            nas.threads and nas.training must stay what they were.
        params: the study's options; those that the run has already are left as they are, because
            `mlflow run` has logged the project's parameters and MLflow refuses to change one.
        run_id: the run that `mlflow run` created. It becomes the study's run; when the study has one
            already, it is marked as a continuation and put below it.

    Returns:
        The run id of the study.

    Raises:
        ConfigError: the study was made with another data set, board, search space or training, its name
            can't be searched for, or `run_id` lies in another experiment.
        RegistryError: MLflow does not answer.
    """
    own = client.get_run(run_id) if run_id else None
    if own and own.info.experiment_id != experiment_id:
        raise ConfigError(
            f"run {run_id} lies in experiment {own.info.experiment_id}, the study in {experiment_id}; "
            f"call `mlflow run` with --experiment-id {experiment_id}"
        )
    parent = find_study(client, experiment_id, study)
    if parent is None:
        parent = own or client.create_run(experiment_id, tags=_identity(study), run_name=study)
    else:
        _refuse_change(study, parent.data.tags, tags)
        if own and own.info.run_id != parent.info.run_id:
            _mark_continuation(client, own, study, parent.info.run_id)
    _claim(client, parent, study, tags, params)
    return str(parent.info.run_id)


@server_call("close the study")
def close_study(
    client: MlflowClient, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"] = "FINISHED"
) -> None:
    """End the study's run.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client.set_terminated(run_id, status)


def find_study(client: MlflowClient, experiment_id: str, study: str) -> Run | None:
    """The study's run; None when the experiment has none of that name.

    Raises:
        ConfigError: the name holds a quotation mark.
    """
    if "'" in study:
        raise ConfigError(f"study {study!r} holds a quotation mark, MLflow can't search for it; leave it out")
    found = client.search_runs(
        [experiment_id],
        f"tags.`{names.STUDY}` = '{study}' AND tags.`{names.ROLE}` = 'study'",
        max_results=1,
        order_by=["attributes.start_time ASC"],
    )
    return found[0] if found else None


def _refuse_change(study: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    for tag, (what, option) in FIXED.items():
        old, new = before.get(tag), now.get(tag)
        if old is not None and new is not None and old != new:
            raise ConfigError(
                f"study {study!r} was made with {what} {old!r}, this call has {new!r}; "
                f"give another --study, or the {option} of before"
            )


def _mark_continuation(client: MlflowClient, own: Run, study: str, parent_id: str) -> None:
    tags = {names.STUDY: study, names.ROLE: "continuation", names.PARENT: parent_id}
    client.log_batch(own.info.run_id, tags=[RunTag(*item) for item in tags.items()], synchronous=True)


def _identity(study: str) -> dict[str, str]:
    """The tags by which a study is found; its run has them from its creation, and is found after any kill."""
    return {names.STUDY: study, names.ROLE: "study"}


def _claim(
    client: MlflowClient, parent: Run, study: str, tags: Mapping[str, str], params: Mapping[str, object]
) -> None:
    tags = {**tags, **_identity(study)}
    missing = {name: value for name, value in params.items() if name not in parent.data.params}
    client.log_batch(
        parent.info.run_id,
        params=[Param(name, str(value)) for name, value in missing.items()],
        tags=[RunTag(*item) for item in tags.items()],
        synchronous=True,
    )
    client.update_run(parent.info.run_id, status="RUNNING", name=study)

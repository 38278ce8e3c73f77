"""The study's book, opened for a command."""

from mlflow_nas.api.runs import as_params, experiment_for
from mlflow_nas.config import StudyOptions
from mlflow_nas.search import StudyBook, Workbench, log_data
from mlflow_nas.tracking import connect, default_uri, open_study

__all__ = ["open_book"]


def open_book(config: StudyOptions, study: str, bench: Workbench, project_run: str | None) -> StudyBook:
    """Open or continue the study's run in MLflow; its data are linked to it.

    Args:
        config: the command's options, which become the run's params.
        study: its name.
        bench: what its trials share.
        project_run: the run that `mlflow run` created, or None.

    Raises:
        ConfigError: the study was made with other data, another board, space or training.
        RegistryError: MLflow does not answer.
    """
    client = connect(default_uri())
    experiment = experiment_for(client, project_run, config.experiment)
    tags = bench.tags
    training = f"epochs {bench.epochs}, batch size {bench.batch_size}, "
    training += f"recipe {config.recipe}, freeze {config.freeze}"
    parent = open_study(
        client,
        experiment_id=experiment,
        study=study,
        tags={**tags, "nas.choices": bench.space.describe(), "nas.training": training},
        params=as_params(config),
        run_id=project_run,
    )
    book = StudyBook(client=client, experiment_id=experiment, parent_id=parent, study=study, tags=tags)
    log_data(bench, book)
    return book

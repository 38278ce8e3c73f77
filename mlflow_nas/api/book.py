"""The study's book, opened for a command."""

import hashlib

from mlflow_nas.api.runs import as_params, experiment_for
from mlflow_nas.config import StudyOptions, find_device
from mlflow_nas.search import StudyBook, Workbench, log_data
from mlflow_nas.space import is_whole
from mlflow_nas.tracking import connect, default_uri, open_study

__all__ = ["open_book"]

_DIGEST_CHARACTERS = 8


def open_book(config: StudyOptions, study: str, bench: Workbench, project_run: str | None) -> StudyBook:
    """Open or continue the study's run in MLflow; its data are linked to it.

    Args:
        config: the command's options, which become the run's params.
        study: its name.
        bench: what its trials share.
        project_run: the run that `mlflow run` created, or None.

    Raises:
        ConfigError: the study was made with other data, another test split, board, space, training or number
            of threads.
        RegistryError: MLflow does not answer.
    """
    client = connect(default_uri())
    experiment = experiment_for(client, project_run, config.experiment)
    tags = bench.tags
    parent = open_study(
        client,
        experiment_id=experiment,
        study=study,
        tags={**tags, "nas.choices": bench.space.describe(), **_fixed(config, bench)},
        params=as_params(config),
        run_id=project_run,
    )
    book = StudyBook(client=client, experiment_id=experiment, parent_id=parent, study=study, tags=tags)
    log_data(bench, book)
    return book


def _fixed(config: StudyOptions, bench: Workbench) -> dict[str, str]:
    """What every call of a study must have in common beside its bench's tags."""
    weights = config.weights or config.backbone_weights
    start = hashlib.sha256(weights.read_bytes()).hexdigest()[:_DIGEST_CHARACTERS] if weights else "none"
    training = {
        "epochs": bench.epochs,
        "batch size": bench.batch_size,
        "recipe": config.recipe,
        "distillation": f"{bench.recipe.distillation if _is_taught(config, bench) else 0:g}",
        "freeze": config.freeze,
        "aspect": f"{bench.aspect:g}",
        "weights": start,
        "seed network": "yes" if config.seed_epochs or _is_seeded(bench) else "no",
        "seed": bench.seed,
    }
    tested = {"nas.test_dataset": bench.test.digest[:_DIGEST_CHARACTERS]} if bench.test else {}
    return {
        **tested,
        "nas.training": ", ".join(f"{name} {value}" for name, value in training.items()),
        "nas.threads": str(config.threads or find_device(config.board, config.devices).threads),
    }


def _is_seeded(bench: Workbench) -> bool:
    return bench.weights is not None and is_whole(bench.weights, bench.space)


def _is_taught(config: StudyOptions, bench: Workbench) -> bool:
    """Whether there is or will be a seed network that candidates can learn from."""
    if _is_seeded(bench):
        return bench.teacher(bench.space.baseline) is not None
    return config.seed_epochs > 0

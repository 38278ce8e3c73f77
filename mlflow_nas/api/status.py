"""`mlflow_nas status`: what a study has found, from its storage alone."""

from pathlib import Path

from mlflow_nas.api.results import StatusResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import StatusConfig

__all__ = ["status"]


def status(
    settings: StatusConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> StatusResult:
    """Read a study's trials from Optuna's storage, also while workers evaluate them.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, or there is no such study in the storage.
    """
    chosen = read_settings(StatusConfig, settings, options, config)
    from mlflow_nas.report import front_of
    from mlflow_nas.search import load_store, storage_name, study_folder

    store = load_store(chosen.study, chosen.search.storage)
    results, objectives = store.results(), store.objectives
    complete = [one for one in results if objectives[0].name in one.metrics and one.state == "complete"]
    sign = 1 if objectives[0].maximize else -1
    best = max(complete, key=lambda one: sign * one.metrics[objectives[0].name], default=None)
    states = [trial.state.name for trial in store.unfinished()]
    return StatusResult(
        study=chosen.study,
        trials=tuple(one.as_row() for one in results),
        running=states.count("RUNNING"),
        waiting=states.count("WAITING"),
        front=tuple(one.as_row() for one in front_of(results, objectives)),
        best=best.as_row() if best else None,
        storage=storage_name(chosen.search.storage, study_folder(chosen.study)),
    )

"""Where a command's runs go: the project run that `mlflow run` made, or an experiment by name."""

from mlflow_nas.config import as_option, without_password
from mlflow_nas.config.commands import CommandConfig
from mlflow_nas.tracking import Client, experiment_id, experiment_of

__all__ = ["as_params", "experiment_for"]


def experiment_for(client: Client, run_id: str | None, name: str) -> str:
    """The experiment of the project run, or the one of that name, created when it is missing."""
    return experiment_of(client, run_id) if run_id else experiment_id(client, name)


def as_params(config: CommandConfig) -> dict[str, object]:
    """The options as run params, spelled as `mlflow run` spells them, without a database's password."""
    return {name: without_password(as_option(getattr(config, name))) for name in type(config).model_fields}

"""`mlflow_nas promote`: the registry says what the measurements say."""

from pathlib import Path

from mlflow_nas.config import PromoteConfig, load_config

__all__ = ["promote"]


def promote(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """Recompute the Pareto front over the registered int8 versions, and set tags and aliases.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.PromoteConfig`.

    Returns:
        model, front, aliases, changes, dry_run; a second call has no changes.

    Raises:
        ConfigError: an option; RegistryError: there is no such model, or MLflow does not answer.
    """
    chosen = load_config(PromoteConfig, options, file=config)
    from mlflow_nas.registry import reconcile
    from mlflow_nas.tracking import connect, default_uri

    return reconcile(
        connect(default_uri()),
        chosen.model,
        max_map_drop=chosen.max_map_drop,
        board=chosen.board,
        dataset=chosen.dataset,
        dry_run=chosen.dry_run,
    ).as_json()

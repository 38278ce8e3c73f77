"""`mlflow_nas promote`: tags and aliases of a registered model follow the measurements."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import PromoteConfig, take_project_run_id

if TYPE_CHECKING:
    from mlflow_nas.registry import Reconciliation

__all__ = ["promote"]


def promote(
    settings: PromoteConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> "Reconciliation":
    """Recompute the Pareto front over the registered int8 versions, and set tags and aliases.

    Changes are recorded in a run of the role "promotion": that of `mlflow run`, or one of their own.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Returns:
        The front, the aliases and the changes; a second call has no changes.

    Raises:
        ConfigError: a setting.
        RegistryError: there is no such model, or MLflow does not answer.
    """
    chosen = read_settings(PromoteConfig, settings, options, config)
    from mlflow_nas.registry import reconcile
    from mlflow_nas.tracking import connect, default_uri

    return reconcile(
        connect(default_uri()),
        chosen.model,
        max_drop=chosen.max_drop,
        speedup=chosen.speedup,
        max_latency_ms=chosen.max_latency_ms,
        board=chosen.board,
        dataset=chosen.dataset,
        primary=chosen.primary,
        dry_run=chosen.dry_run,
        trigger="promote",
        run_id=take_project_run_id(),
    )

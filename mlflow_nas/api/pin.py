"""`mlflow_nas pin`: an alias that stays at its version."""

from pathlib import Path

from mlflow_nas.api.registry_results import PinResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import PinConfig

__all__ = ["pin"]


def pin(
    settings: PinConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> PinResult:
    """Set an alias to a version and keep it there whatever is promoted later, or give it back.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, an alias that mlflow_nas does not set, or an unknown version.
        RegistryError: there is no such model, or MLflow does not answer.
    """
    chosen = read_settings(PinConfig, settings, options, config)
    from mlflow_nas.registry import pin as set_pin
    from mlflow_nas.registry import unpin
    from mlflow_nas.tracking import connect, default_uri

    client = connect(default_uri())
    if chosen.version is None:
        changes = unpin(client, chosen.model, chosen.alias)
    else:
        changes = set_pin(client, chosen.model, chosen.alias, chosen.version)
    return PinResult(
        model=chosen.model,
        alias=chosen.alias,
        version=chosen.version,
        changes=tuple(change._asdict() for change in changes),
    )

"""A command's settings, as a configuration or as keywords."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from mlflow_nas.config import CommandConfig, load_config
from mlflow_nas.errors import ConfigError

__all__ = ["read_settings"]

Config = TypeVar("Config", bound=CommandConfig)


def read_settings(
    model: type[Config],
    settings: Config | None,
    options: Mapping[str, object],
    file: Path | str | None,
) -> Config:
    """The checked configuration of a command.

    Args:
        model: its type.
        settings: the user's own; None for keywords.
        options: the keywords.
        file: a YAML file, for what neither gives.

    Raises:
        ConfigError: both are given, or a value is refused.
    """
    if settings is not None and options:
        raise ConfigError(
            f"{model.__name__} and {', '.join(options)} are given: set them in the configuration, or leave "
            "it out."
        )
    return load_config(model, options if settings is None else settings, file=file)

"""Options of a command, made from its config: one place says names, defaults and help."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mlflow_nas.config import as_option
from mlflow_nas.config.commands import CommandConfig

__all__ = ["config_options"]

Function = Callable[..., Any]


def config_options(config: type[CommandConfig]) -> Callable[[Function], Function]:
    """Give a command an option per field of the config, --config FILE and --json.

    Values stay strings: the config checks them and says what is wrong. A switch may be given alone.
    """

    def decorate(function: Function) -> Function:
        function = click.option(
            "--json", "as_json", is_flag=True, help="Print the result as one JSON object"
        )(function)
        function = click.option(
            "--config", default="", help="YAML file; it gives what options leave at their defaults"
        )(function)
        for name, field in reversed(config.model_fields.items()):
            alone: dict[str, Any] = (
                {"is_flag": False, "flag_value": "true"} if isinstance(field.default, bool) else {}
            )
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                default=as_option(field.default),
                show_default=True,
                help=field.description,
                **alone,
            )(function)
        return function

    return decorate


def config_file(config: str) -> Path | None:
    """The YAML file, if one was named."""
    return Path(config) if config else None

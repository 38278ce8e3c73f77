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

    Values stay strings: the config checks them and says what is wrong. A switch may be given alone, a list
    that is empty by default several times.
    """

    def decorate(function: Function) -> Function:
        function = click.option(
            "--json", "as_json", is_flag=True, help="Print the result as one JSON object"
        )(function)
        function = click.option(
            "--config", default="", help="YAML file; it gives what options leave at their defaults"
        )(function)
        for name, field in reversed(config.model_fields.items()):
            function = click.option(
                f"--{name.replace('_', '-')}",
                name,
                show_default=True,
                help=field.description,
                **_kind(field.default),
            )(function)
        return function

    return decorate


def _kind(default: object) -> dict[str, Any]:
    if default == ():
        return {"default": (), "multiple": True, "callback": lambda _context, _option, given: ",".join(given)}
    switch = {"is_flag": False, "flag_value": "true"} if isinstance(default, bool) else {}
    return {"default": as_option(default), **switch}


def config_file(config: str) -> Path | None:
    """The YAML file, if one was named."""
    return Path(config) if config else None

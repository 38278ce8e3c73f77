"""From strings and a YAML file to a checked config; every error names value, bound and remedy."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar, get_args

import yaml
from pydantic import ValidationError

from mlflow_nas.config.commands import CommandConfig
from mlflow_nas.errors import ConfigError

__all__ = ["as_option", "load_config", "without_password"]

Config = TypeVar("Config", bound=CommandConfig)


def load_config(model: type[Config], options: Mapping[str, object], *, file: Path | None = None) -> Config:
    """Check the options of a command.

    A YAML file gives the values that the options leave at their defaults: `mlflow run` passes every
    parameter, so a value that equals the default counts as not given. An empty string means "not set".

    Args:
        model: the command's config.
        options: field name to value, as strings or Python values.
        file: YAML with the same field names.

    Raises:
        ConfigError: an unknown name, a value that is out of its bounds, or a file that can't be read.
    """
    given = {name: value for name, value in options.items() if not _is_default(model, name, value)}
    merged = {**(_read(file) if file else {}), **given}
    _refuse_unknown(model, merged)
    try:
        return model.model_validate(_unset_empty(model, merged))
    except ValidationError as error:
        raise ConfigError(" ".join(_sentence(model, detail) for detail in error.errors())) from None


def _is_default(model: type[CommandConfig], name: str, value: object) -> bool:
    field = model.model_fields.get(name)
    if field is None:
        return False
    return value == field.default or str(value) == as_option(field.default)


def _unset_empty(model: type[CommandConfig], options: Mapping[str, object]) -> dict[str, object]:
    """An empty string is None where the field admits it, and otherwise leaves the default."""
    optional = {
        name for name, field in model.model_fields.items() if type(None) in get_args(field.annotation)
    }
    return {
        name: None if value == "" else value
        for name, value in options.items()
        if value != "" or name in optional
    }


def without_password(text: str) -> str:
    """A URL as it may be shown and logged."""
    return re.sub(r"(://[^:/@\s]*:)[^@/\s]+@", r"\1***@", text)


def as_option(default: object) -> str:
    """A field's default as it stands in MLproject and on the command line."""
    if default is None:
        return ""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).lower() if isinstance(default, bool) else str(default)


def _read(file: Path) -> dict[str, object]:
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The config file {file} can't be read: {error.strerror}.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"The config file {file} is not YAML: {error}") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"The config file {file} must hold names and values, such as 'trials: 8'.")
    return {str(name).replace("-", "_"): value for name, value in loaded.items()}


def _refuse_unknown(model: type[CommandConfig], options: Mapping[str, object]) -> None:
    for name in options:
        if name not in model.model_fields:
            near = difflib.get_close_matches(name, model.model_fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(model.model_fields)}."
            raise ConfigError(f"Unknown option {name}: {hint}")


def _sentence(model: type[CommandConfig], detail: Mapping[str, object]) -> str:
    location = detail["loc"]
    if not location:  # two options that don't go together
        return f"{detail['msg']}.".removeprefix("Value error, ")
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    purpose = model.model_fields[name].description if name in model.model_fields else ""
    return f"--{name.replace('_', '-')} {detail['input']!r}: {detail['msg']}. ({purpose}.)"

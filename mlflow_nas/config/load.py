"""From options, a YAML file and the environment to one checked configuration."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mlflow_nas.config.assignments import read_assignments
from mlflow_nas.config.environment import settings_from_environment
from mlflow_nas.config.fields import CommandConfig, read_choices
from mlflow_nas.config.messages import refusal, shown, unknown
from mlflow_nas.config.settings import Setting, section_of, settings_of
from mlflow_nas.errors import ConfigError
from mlflow_nas.yaml_file import read_yaml

__all__ = ["load_config"]

Config = TypeVar("Config", bound=CommandConfig)

CHOICES = "space.choices"
_NULL = "null"


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and how the user spelled its name: "--trials", or "study.yaml search.trials"."""

    value: object
    source: str


_Values = dict[str, _Given]
"""By dotted name; a choice of the space is space.choices.NAME."""


def load_config(
    model: type[Config], options: Mapping[str, object] | Config, *, file: Path | str | None = None
) -> Config:
    """Check the settings of a command.

    Where a setting is given several times, options and `set` win over the environment, which wins over the
    file, which wins over the default. An empty text means "not given"; the text null, or None, means that a
    setting without a default has no value.

    Args:
        model: the command's configuration.
        options: values as Python objects or text, by option ("trials"), by dotted name ("search.trials") or
            as nested mappings; `set` holds NAME=VALUE pairs as one text or several. Or a configuration: what
            was given to it counts as given.
        file: a YAML file with the same names.

    Raises:
        ConfigError: an unknown name, a value out of its bounds, one setting given twice with two values, or
            a file that can't be read.
    """
    given = options.model_dump(exclude_unset=True) if isinstance(options, BaseModel) else dict(options)
    values = _from_file(model, file) if file not in (None, "") else {}
    values |= _from_environment(model)
    values |= _from_options(model, given)
    try:
        return model.model_validate(_nested(values))
    except ValidationError as error:
        raise ConfigError(" ".join(_sentence(model, values, detail) for detail in error.errors())) from None


def _from_file(model: type[CommandConfig], file: Path | str) -> _Values:
    path = Path(file)
    holds = "names and values, such as 'trials: 8'"
    loaded = read_yaml(path, what="config file", holds=holds, remedy="give a YAML file with --config")
    return _collect(model, loaded, place=path.name)


def _from_environment(model: type[CommandConfig]) -> _Values:
    own = {setting.option for setting in settings_of(model).values()}
    values: _Values = {}
    for option, (variable, text) in settings_from_environment().items():
        if option in own:
            values |= _collect(model, {option: text}, place=variable)
    return values


def _from_options(model: type[CommandConfig], options: dict[str, Any]) -> _Values:
    pairs = read_assignments(options.pop("set", None) or [])
    values = _collect(model, options)
    for name, value in pairs:
        _add(values, _collect(model, {name: value}, place="--set"))
    return values


def _collect(model: type[CommandConfig], given: Mapping[str, object], *, place: str = "") -> _Values:
    """The values of one source by dotted name.

    Args:
        model: the command's configuration.
        given: as the user spelled it.
        place: of the source, for messages; "" for options.
    """
    values: _Values = {}
    for spelled, value in _flat(model, given, ""):
        name, setting = _resolve(model, spelled, place)
        if value == "":
            continue
        known = None if value == _NULL and setting.is_optional else value
        source = f"{place} {spelled}" if place else setting.flag
        _add(values, _with_choices(name, known, source))
    return values


def _flat(
    model: type[CommandConfig], given: Mapping[str, object], prefix: str
) -> Iterator[tuple[str, object]]:
    for key, value in given.items():
        name = f"{prefix}{str(key).replace('-', '_')}"
        plain = value.model_dump(exclude_unset=True) if isinstance(value, BaseModel) else value
        if isinstance(plain, Mapping) and section_of(model, name) is not None:
            yield from _flat(model, plain, f"{name}.")
        else:
            yield name, plain


def _resolve(model: type[CommandConfig], name: str, place: str = "") -> tuple[str, Setting]:
    """The dotted name of an option, a dotted name or a choice of the space.

    Raises:
        ConfigError: there is no such setting.
    """
    settings = settings_of(model)
    if name in settings:
        return name, settings[name]
    by_option = {setting.option: setting for setting in settings.values() if setting.option}
    if name in by_option:
        return by_option[name].name, by_option[name]
    section, _, choice = name.rpartition(".")
    if section in ("space", CHOICES) and CHOICES in settings:
        return f"{CHOICES}.{choice}", settings[CHOICES]
    raise ConfigError(unknown(name, settings, place))


def _with_choices(name: str, value: object, source: str) -> _Values:
    """One value; for the space's choices one per parameter, so that sources are merged by parameter."""
    if not name.startswith(CHOICES):
        return {name: _Given(value, source)}
    try:
        choices = read_choices(value if name == CHOICES else {name.removeprefix(f"{CHOICES}."): value})
    except ValueError as error:
        raise ConfigError(f"{source} {shown(value)}: {error}.") from None
    return {f"{CHOICES}.{choice}": _Given(kept, source) for choice, kept in choices.items()}


def _add(values: _Values, more: _Values) -> None:
    """Add values of the same source.

    Raises:
        ConfigError: one has another value already.
    """
    for name, given in more.items():
        before = values.get(name, given)
        if str(before.value) != str(given.value):
            raise ConfigError(
                f"{name} is given twice, by {before.source} as {shown(before.value)} and by {given.source} "
                f"as {shown(given.value)}: leave one out."
            )
        values[name] = given


def _nested(values: _Values) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, given in values.items():
        *sections, last = name.split(".")
        inner = found
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[last] = given.value
    return found


def _sentence(model: type[CommandConfig], values: _Values, detail: Mapping[str, Any]) -> str:
    """Where the value was given, the value, its bound and what it is for."""
    parts = [str(part) for part in detail["loc"]]
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    name = next((one for one in names if one in values), None)
    if name is None:  # settings that exclude each other
        return f"{'.'.join(parts)} {detail['msg']}.".strip().removeprefix("Value error, ")
    setting = _resolve(model, name)[1]
    return refusal(values[name].source, values[name].value, str(detail["msg"]), setting)

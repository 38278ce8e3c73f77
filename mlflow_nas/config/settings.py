"""The settings of a configuration as a flat list: dotted name, option, type, range, default, description."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeGuard, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mlflow_nas.config.fields import CommandConfig, Section
from mlflow_nas.redact import redact

__all__ = ["Setting", "as_params", "given_values", "section_of", "settings_of", "text_of"]

MAX_PARAM_CHARACTERS = 6000
"""Of a param's value in MLflow."""
_NOT_LOGGED = "search.storage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value that the user may set.

    Attributes:
        name: dotted, such as training.epochs; a study's seed is `seed`.
        option: its own command-line option and project parameter, such as img_width; "" without one.
        repeatable: the option may be given several times.
        is_flag: the option may be given without a value.
        is_optional: it may have no value.
        is_argument: the command line takes it by its position.
        allowed: type, range or choices, such as 1..100000.
        default: as text; "" for none.
        description: one line.
    """

    name: str
    option: str
    repeatable: bool
    is_flag: bool
    is_optional: bool
    is_argument: bool
    allowed: str
    default: str
    description: str

    @property
    def section(self) -> str:
        """Its section; "" for the top level."""
        return self.name.rpartition(".")[0]

    @property
    def flag(self) -> str:
        """How the command line spells it: --img-width, ALIAS for an argument, or --set training.freeze."""
        if self.is_argument:
            return self.option.upper()
        return f"--{self.option.replace('_', '-')}" if self.option else f"--set {self.name}"


@cache
def settings_of(model: type[Section]) -> Mapping[str, Setting]:
    """Dotted name to setting, in the order of the model."""
    return {setting.name: setting for setting in _settings(model, "")}


def section_of(model: type[Section], name: str) -> type[Section] | None:
    """The section of that dotted name; None where the name is no section."""
    found: object = model
    for part in name.split("."):
        field = found.model_fields.get(part) if _is_section(found) else None
        found = field.annotation if field else None
    return found if _is_section(found) else None


def _is_section(found: object) -> TypeGuard[type[Section]]:
    return isinstance(found, type) and issubclass(found, Section)


def text_of(value: object) -> str:
    """A value as it is written on the command line; "" for none."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_params(config: CommandConfig, logged: Mapping[str, str] | None = None) -> dict[str, str]:
    """The configuration as params of a run: every setting by its dotted name, without passwords.

    The storage is left out: it may hold a password, and a study is the same in another place.

    Args:
        config: of the command.
        logged: params that the run has already. A setting that `mlflow run` logged under its option's name
            is left out, unless the param is empty there: then the value is the default, or the file's.
    """
    before = {name for name, value in (logged or {}).items() if value != ""}
    return {
        setting.name: redact(text_of(_value(config, setting.name)))[:MAX_PARAM_CHARACTERS]
        for setting in settings_of(type(config)).values()
        if setting.name != _NOT_LOGGED and not before & {setting.option, setting.name}
    }


def given_values(config: CommandConfig) -> list[tuple[str, object]]:
    """Dotted name and value of every setting that was given; the others have their defaults."""
    return [(name, _value(config, name)) for name in settings_of(type(config)) if _is_given(config, name)]


def _is_given(config: Section, name: str) -> bool:
    first, _, rest = name.partition(".")
    if first not in config.model_fields_set:
        return False
    return not rest or _is_given(getattr(config, first), rest)


def _value(config: CommandConfig, name: str) -> object:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _settings(model: type[Section], prefix: str) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        section = section_of(model, name)
        if section is None:
            yield _setting(f"{prefix}{name}", field)
        else:
            yield from _settings(section, f"{prefix}{name}.")


def _setting(name: str, field: FieldInfo) -> Setting:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    plain = _without_none(field.annotation)
    return Setting(
        name=name,
        option=str(extra.get("option", "")),
        repeatable=bool(extra.get("repeatable")),
        is_flag=plain is bool,
        is_optional=plain is not field.annotation,
        is_argument=bool(extra.get("argument")),
        allowed=str(extra.get("form") or _allowed(plain, field)),
        default=text_of(field.default),
        description=field.description or "",
    )


def _without_none(annotation: Any) -> Any:
    """X for X | None, without what Annotated adds."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(one for one in get_args(annotation) if one is not type(None))
        return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
    return annotation


def _allowed(plain: Any, field: FieldInfo) -> str:
    if get_origin(plain) is Literal:
        return "|".join(map(str, get_args(plain)))
    if get_origin(plain) is tuple:
        return "A,B,..."
    words = {bool: "true|false", Path: "FILE", str: "TEXT"}
    return words.get(plain) or _range(field)


def _range(field: FieldInfo) -> str:
    """The bounds of a number: 1..64, 0..<1, or >0."""
    bounds = {
        name: getattr(one, name)
        for one in field.metadata
        for name in ("ge", "gt", "le", "lt")
        if hasattr(one, name)
    }
    low = f">{bounds['gt']:g}" if "gt" in bounds else f"{bounds['ge']:.15g}"
    if "le" in bounds:
        return f"{low}..{bounds['le']:.15g}"
    return f"{low}..<{bounds['lt']:g}" if "lt" in bounds else low

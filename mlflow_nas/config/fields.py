"""The frozen base of every section of the configuration, and the types of its fields."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from mlflow_nas.types import Limit

__all__ = [
    "NAME",
    "Aspect",
    "BoardName",
    "Choices",
    "CommandConfig",
    "File",
    "LimitTexts",
    "Name",
    "Names",
    "Seconds",
    "Section",
    "Text",
    "Words",
    "option",
    "read_choices",
    "read_limit",
    "split",
    "written",
]

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
MAX_PATH_CHARACTERS = 4096
MIN_ASPECT, MAX_ASPECT = 0.1, 10.0

_CHOICE = re.compile(r"\s*([A-Za-z_]\w*)\s*=\s*(.+?)\s*", re.DOTALL)
_LIMIT = re.compile(r"([A-Za-z_][\w./-]*)(<=|>=)([^<>=\s,]+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(h|m|s|)")
_UNIT_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "": 1.0}
_AROUND_OPERATOR = re.compile(r"\s*(<=|>=)\s*")


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True, allow_inf_nan=False)


class CommandConfig(Section):
    """The whole configuration of one command."""


def option(
    name: str, *, repeatable: bool = False, form: str = "", argument: bool = False
) -> dict[str, JsonValue]:
    """Metadata of a field that has a command-line option and a project parameter of its own.

    Args:
        name: of the option, in the spelling of a project parameter: img_width for --img-width.
        repeatable: the option may be given several times.
        form: how a value is written, for the help; "" for its type or range.
        argument: the command line takes it by its position, without the option's name.
    """
    return {"option": name, "repeatable": repeatable, "form": form, "argument": argument}


def written(form: str) -> dict[str, JsonValue]:
    """Metadata of a field without an option of its own: how a value is written."""
    return {"form": form}


def split(value: object) -> object:
    """Text becomes the parts between its commas."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _each_split(value: object) -> object:
    """Text, or the texts of a repeated option, become the parts between their commas."""
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        return value
    return tuple(part.strip() for text in texts for part in str(text).split(",") if part.strip())


def _limits(value: object) -> object:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        return value
    tight = [_AROUND_OPERATOR.sub(r"\1", str(text)) for text in texts]
    parts = tuple(part for text in tight for part in re.split(r"[,\s]+", text) if part)
    for part in parts:
        read_limit(part)
    return parts


def read_limit(text: str) -> Limit:
    """A limit written as METRIC<=NUMBER or METRIC>=NUMBER.

    Raises:
        ValueError: it is written otherwise.
    """
    found = _LIMIT.fullmatch(text)
    try:
        bound = float(found[3]) if found else float("nan")
    except ValueError:
        bound = float("nan")
    if found is None or not abs(bound) < float("inf"):
        raise ValueError(f"{text[:80]!r} is no limit, write METRIC<=NUMBER or METRIC>=NUMBER")
    return Limit(metric=found[1], operator="<=" if found[2] == "<=" else ">=", bound=bound)


def read_choices(value: object) -> dict[str, str]:
    """Parameter of a space to its values in a narrowed space.

    Args:
        value: "channels=24..64:8,groups=1,2" (a comma before NAME= begins the next parameter), several such
            texts, or a mapping of a parameter to text or a list.

    Raises:
        ValueError: a part names no parameter, or a parameter has no values.
    """
    if isinstance(value, Mapping):
        return {str(name): _joined(values) for name, values in value.items()}
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, Iterable):
        raise ValueError("write NAME=VALUES, such as channels=24..64:8")  # noqa: TRY004 - pydantic's protocol
    parts = [part for text in texts for part in re.split(r"[,\s]+(?=[A-Za-z_]\w*\s*=)", str(text).strip())]
    found: dict[str, str] = {}
    for part in filter(None, parts):
        choice = _CHOICE.fullmatch(part)
        if choice is None:
            raise ValueError(f"{part[:80]!r} names no choice, write NAME=VALUES, such as channels=24..64:8")
        if choice[1] in found:
            raise ValueError(f"{choice[1]} is given twice, write its values as one list, {choice[1]}=A,B")
        found[choice[1]] = choice[2]
    return found


def _joined(values: object) -> str:
    return ",".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


def _choices(value: object) -> object:
    return tuple(f"{name}={values}" for name, values in read_choices(value).items())


def _usable_path(path: Path) -> Path:
    if "\0" in str(path) or len(str(path)) > MAX_PATH_CHARACTERS:
        raise ValueError(f"a path has no NUL byte and at most {MAX_PATH_CHARACTERS} characters")
    return path.expanduser() if str(path).startswith("~") else path


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"{twice[:80]!r} is given twice: leave one out")
    return values


def read_seconds(value: object) -> object:
    """Seconds of a text such as 8h, 30m or 45s; another value as it is.

    Raises:
        ValueError: a text is written otherwise.
    """
    if not isinstance(value, str):
        return value
    found = _DURATION.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value[:80]!r} is no duration, write 8h, 30m, 45s or a number of seconds")
    return float(found[1]) * _UNIT_S[found[2]]


def _aspect(value: str) -> str:
    if value in ("auto", "square"):
        return value
    try:
        known = MIN_ASPECT < float(value) < MAX_ASPECT
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"write auto, square, or a number between {MIN_ASPECT} and {MAX_ASPECT}")
    return value


Text = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$")]
Name = Annotated[str, Field(pattern=rf"^{NAME}$", max_length=100)]
BoardName = Annotated[str, Field(pattern=rf"^(vela:)?{NAME}$", max_length=100)]
File = Annotated[Path, AfterValidator(_usable_path)]
Names = Annotated[tuple[Text, ...], BeforeValidator(split), AfterValidator(_distinct), Field(min_length=1)]
Words = Annotated[tuple[Text, ...], BeforeValidator(_each_split)]
LimitTexts = Annotated[tuple[Text, ...], BeforeValidator(_limits)]
Seconds = Annotated[float, BeforeValidator(read_seconds)]
Aspect = Annotated[Text, AfterValidator(_aspect)]
Choices = Annotated[tuple[Text, ...], BeforeValidator(_choices)]

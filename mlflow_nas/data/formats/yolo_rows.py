"""Rows of YOLO label files: a class, and a box, a box with key points, or the corners of an outline."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mlflow_nas.data.findings import XyxyBox
from mlflow_nas.data.formats.values import number, shown, whole_value
from mlflow_nas.errors import ConfigError

__all__ = ["Row", "RowReader"]

_BOX = 4
_ORIENTED = 8
_LEAST_OUTLINE = 6
_LEAST_ROWS = 2
_LOW, _HIGH = -0.5, 1.5
"""Corners of outlines are shares, and may reach a little out of the image."""


class Row(NamedTuple):
    """One object: the name of its class, the requested class that it is, and its box in shares."""

    name: str
    label: int | None
    box: XyxyBox


class RowReader:
    """Reads rows, and remembers their lengths: what a long row means shows in all of them together.

    Args:
        file: the data.yaml, for messages.
        names: class name by number.
        classes: the requested ones.
        kpt_shape: of data.yaml: number of key points and of values per point; None without key points.
        outlines: whether the user says that long rows are outlines.

    Raises:
        ConfigError: kpt_shape is no pair of whole numbers.
    """

    def __init__(
        self,
        file: Path,
        names: dict[int, str],
        classes: Sequence[str],
        kpt_shape: object,
        *,
        outlines: bool,
    ) -> None:
        self._file, self._names, self._classes = file, names, classes
        self._pose = _pose_length(file, kpt_shape)
        self._are_outlines = outlines
        self._lengths: dict[int, list[str]] = {}

    def read(self, words: Sequence[str], place: str) -> Row:
        """Read one row.

        Args:
            words: of the line.
            place: file and line, for the messages of `refuse_ambiguous`.

        Raises:
            ValueError: the class is unknown, a number is none, or their count has no meaning.
        """
        key = whole_value(words[0], "class")
        if key not in self._names:
            raise ValueError(f"class {shown(key)} is not in names")
        values = [number(word, "a number") for word in words[1:]]
        name = self._names[key]
        label = self._classes.index(name) if name in self._classes else None
        return Row(name, label, self._box(values, place))

    def _box(self, values: list[float], place: str) -> XyxyBox:
        if len(values) == _BOX or (self._pose and len(values) == self._pose):
            x, y, width, height = values[:_BOX]
            return x - width / 2, y - height / 2, x + width / 2, y + height / 2
        if self._pose:
            raise ValueError(
                f"{len(values)} numbers after the class, kpt_shape of {self._file} says {self._pose}"
            )
        if len(values) < _LEAST_OUTLINE or len(values) % 2:
            raise ValueError(
                f"{len(values)} numbers after the class are neither a box (4) nor an outline (6, 8, ...)"
            )
        if not all(_LOW <= value <= _HIGH for value in values):
            odd = next(value for value in values if not _LOW <= value <= _HIGH)
            raise ValueError(f"{odd:g} is no share of the image; remove columns such as scores and track ids")
        self._lengths.setdefault(len(values), []).append(place)
        xs, ys = values[::2], values[1::2]
        return min(xs), min(ys), max(xs), max(ys)

    def refuse_ambiguous(self) -> None:
        """Refuse long rows that all have one length: outlines have many, other things have not.

        Raises:
            ConfigError: they may be oriented boxes, key points, or boxes with scores or track ids.
        """
        if self._are_outlines or len(self._lengths) != 1:
            return
        ((length, places),) = self._lengths.items()
        if len(places) < _LEAST_ROWS:
            return
        what = (
            "oriented boxes, which are not supported: export upright ones (class x y width height)"
            if length == _ORIENTED
            else "a box with key points (then write kpt_shape into the YAML file), or with a score or "
            "track id (then remove these columns)"
        )
        raise ConfigError(
            f"{places[0]}: all {len(places)} rows of more than 4 numbers have {length}; they seem to be "
            f"{what}. For outlines write ?rows=outlines after the location"
        )


def _pose_length(file: Path, kpt_shape: object) -> int:
    """Numbers of a row with key points; 0 without them."""
    if kpt_shape is None:
        return 0
    try:
        if not isinstance(kpt_shape, list) or len(kpt_shape) != 2:
            raise ValueError  # noqa: TRY301 - one sentence for all
        points, values = (whole_value(part, "kpt_shape") for part in kpt_shape)
        if points < 0 or values not in (2, 3):
            raise ValueError  # noqa: TRY301 - one sentence for all
    except ValueError:
        raise ConfigError(
            f"{file}: kpt_shape is {shown(kpt_shape)}, not two numbers such as [17, 3]; correct it there"
        ) from None
    return _BOX + points * values

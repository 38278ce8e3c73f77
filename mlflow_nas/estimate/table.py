"""Tables of measured architectures: quality, scores and features from a CSV file."""

import difflib
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Floats
from mlflow_nas.estimate.features import ArchitectureFeatures, empty
from mlflow_nas.estimate.strategies import STRATEGIES

__all__ = ["MeasuredTable", "read_table"]

SENTINEL = -1e7
"""Public tables mark failures by numbers at or below this one; they count as missing."""
SECONDS = "time_"
"""The column time_NAME holds the seconds that the score NAME took."""
_PART = re.compile(r"[A-Za-z0-9_.~]+")


@dataclass(frozen=True, slots=True)
class MeasuredTable:
    """Rows of a table, each an architecture.

    Attributes:
        features: of all rows.
        target: measured quality [n], NaN where it was not measured.
        again: quality of a second training [n], or None.
    """

    features: ArchitectureFeatures
    target: Floats
    again: Floats | None

    def sample(self, count: int, *, seed: int) -> NDArray[np.intp]:
        """Indices of measured rows, drawn without replacement; a smaller sample is the start of a larger one.

        Raises:
            ConfigError: the table has fewer.
        """
        measured = np.flatnonzero(~np.isnan(self.target))
        if count > len(measured):
            raise ConfigError(
                f"--samples {count} exceeds the {len(measured)} rows with a measured target: lower it."
            )
        drawn: NDArray[np.intp] = np.random.default_rng(seed).permutation(measured)[:count]
        return drawn


def read_table(
    path: Path,
    *,
    target: str,
    scores: Sequence[str] = (),
    features: Sequence[str] = (),
    categorical: Sequence[str] = (),
    where: Sequence[str] = (),
    target_again: str | None = None,
) -> MeasuredTable:
    """Read some columns of a table.

    Args:
        path: a CSV file with a header, plain or compressed (.gz).
        target: column of the measured quality, higher is better.
        scores: columns of scores, higher is better; NaN and numbers at or below -1e7 are missing.
        features: numeric columns that models are given; a missing value becomes the column's median.
        categorical: columns of words that models are given, one column per word. A list of choices, such as
            "(0, 3, 1)" or "conv|pool", is one choice per position.
        where: COLUMN=VALUE; only rows with these values are read.
        target_again: column of a second training's quality.

    Raises:
        ConfigError: the file can't be read, has no such column or row, or a number is none.
    """
    frame = _rows(_read(path), where, path)
    scores, features = tuple(dict.fromkeys(scores)), tuple(dict.fromkeys(features))
    _refuse_target(target, (*scores, *features, *categorical))
    numbers = {name: _numbers(frame, name, path) for name in (*scores, *(set(features) - set(categorical)))}
    blocks = [_filled(numbers[name], name)[:, None] for name in features if name not in categorical]
    blocks += [_one_hot(_column(frame, name, path)) for name in dict.fromkeys(categorical)]
    times = {n: _numbers(frame, f"{SECONDS}{n}", path) for n in scores if f"{SECONDS}{n}" in frame}
    measured, again = (
        None if name is None else _numbers(frame, name, path) for name in (target, target_again)
    )
    known = ArchitectureFeatures(
        encoding=np.concatenate(blocks, axis=1) if blocks else empty(len(frame)),
        complexity=empty(len(frame)),
        scores={name: numbers[name] for name in scores},
        zero_cost=tuple(name for name in scores if family_of(name) == "zero-cost"),
        curve=empty(len(frame)),
        seconds={n: float(np.nanmean(each)) for n, each in times.items() if not np.isnan(each).all()},
    )
    return MeasuredTable(known, measured if measured is not None else np.empty(0), again)


def family_of(score: str) -> str:
    """The family of a score column: its strategy's, else zero-cost."""
    return next((row.family for row in STRATEGIES if row.name == score), "zero-cost")


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except OSError as error:
        raise ConfigError(
            f"The table {path} can't be read: {error.strerror or error}; give an existing CSV file."
        ) from error
    except (ValueError, EOFError, zlib.error) as error:  # pandas' parser errors are ValueErrors
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"The table {path} is not a CSV file with a header, plain or .gz: {reason}. Export it again."
        ) from error


def _rows(frame: pd.DataFrame, where: Sequence[str], path: Path) -> pd.DataFrame:
    for condition in where:
        name, found, value = condition.partition("=")
        if not found:
            raise ConfigError(f"--where {condition!r} is not COLUMN=VALUE, such as dataset=cifar100.")
        column = _column(frame, name, path).astype(str)
        rows = frame[column == value]
        if rows.empty:
            known = ", ".join(column.unique()[:10])
            raise ConfigError(f"No row of {path} has {condition}: its first values are {known or 'none'}.")
        frame = rows
    if frame.empty:
        raise ConfigError(f"The table {path} has a header and 0 rows: add a row per architecture.")
    return frame.reset_index(drop=True)


def _refuse_target(target: str, others: Sequence[str]) -> None:
    if target in others:
        raise ConfigError(f"--target {target} is also among the scores or features: remove it there.")


def _column(frame: pd.DataFrame, name: str, path: Path) -> pd.Series:
    if name not in frame:
        names = [str(column) for column in frame.columns]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(names)}."
        raise ConfigError(f"The table {path} has no column {name!r}: {hint}")
    return frame[name]


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> Floats:
    """A column [n]; NaN is missing, and so is what is infinite or at or below the sentinel."""
    column = _column(frame, name, path)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(values) & column.notna().to_numpy())
    if len(wrong):
        raise ConfigError(
            f"Column {name} of {path} holds {str(column.iloc[wrong[0]])!r} in row {wrong[0] + 1}, which is "
            "not a number: fix it, leave it empty for a missing value, or read the column with "
            "--features-categorical."
        )
    return np.where(np.isfinite(values) & (values > SENTINEL), values, np.nan)


def _filled(values: Floats, name: str) -> Floats:
    """A feature without gaps."""
    if np.isnan(values).all():
        raise ConfigError(f"The feature {name} is empty in every row: leave it out.")
    return np.where(np.isnan(values), np.nanmedian(values), values)


def _one_hot(column: pd.Series) -> Floats:
    """Words [n] as columns of 0 and 1 [n, words], per position where every value is a list."""
    words = [str(value) for value in column]
    parts = [_PART.findall(word) for word in words]
    lists = parts if all(len(part) > 1 for part in parts) else [[word] for word in words]
    longest = max(len(choices) for choices in lists)
    positions = [[choices[i] if i < len(choices) else "" for choices in lists] for i in range(longest)]
    return np.concatenate([_indicators(position) for position in positions], axis=1)


def _indicators(words: Sequence[str]) -> Floats:
    """[n, words]; none for a word that all share."""
    known = sorted(set(words))
    if len(known) == 1:
        return empty(len(words))
    return np.array([[float(word == one) for one in known] for word in words])

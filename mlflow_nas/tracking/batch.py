"""Values in MLflow's terms: names that it accepts, finite numbers, few requests."""

import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeAlias, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlflow_nas.redact import redact

__all__ = ["Point", "as_points", "limit_of", "log_values", "metric_name"]

Point: TypeAlias = tuple[str, float, int, int]
"""A metric's name, value, time stamp (milliseconds since 1970) and step."""

T = TypeVar("T")

MOST_METRICS = 800
MOST_TEXTS = 100
"""Params, as tags, of one request. MLflow takes at most 1,000 values of all kinds together."""
PARAM_LENGTH = 6_000
TAG_LENGTH = 8_000
REFUSED = re.compile(r"[^\w\-. :/]")
OPERATORS = {"<=": " max ", ">=": " min "}


def metric_name(name: str) -> str:
    """A name that MLflow accepts: `latency_ms<=12` becomes "latency_ms max 12", `mAP@50` "mAP_50"."""
    for operator, word in OPERATORS.items():
        name = name.replace(operator, word)
    name = REFUSED.sub("_", name)
    resolves_elsewhere = posixpath.normpath(name) != name or name.startswith(("/", ".."))
    return name.replace("/", "_").replace("..", "_") if resolves_elsewhere else name


def limit_of(name: str) -> str:
    """The limit that `metric_name` was given: "latency_ms max 12" becomes `latency_ms<=12`."""
    for operator, word in OPERATORS.items():
        name = name.replace(word, operator)
    return name


def as_points(metrics: Mapping[str, float], time_ms: int, *, step: int = 0, prefix: str = "") -> list[Point]:
    """Metrics as points of one step; a NaN or an infinity is left out: a failed measurement is absent."""
    return [
        (metric_name(f"{prefix}{name}"), float(value), time_ms, step)
        for name, value in metrics.items()
        if math.isfinite(value)
    ]


def log_values(
    client: MlflowClient,
    run_id: str,
    *,
    points: Iterable[Point] = (),
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write values into a run with as few requests as MLflow allows; passwords of URLs are masked.

    Raises:
        MlflowException: MLflow does not answer, or refuses a value.
    """
    metrics = [Metric(*point) for point in points]
    texts = [Param(name, redact(str(value))[:PARAM_LENGTH]) for name, value in (params or {}).items()]
    named = [RunTag(name, redact(value)[:TAG_LENGTH]) for name, value in (tags or {}).items()]
    chunks = (_chunks(metrics, MOST_METRICS), _chunks(texts, MOST_TEXTS), _chunks(named, MOST_TEXTS))
    for some_metrics, some_params, some_tags in zip_longest(*chunks, fillvalue=()):
        client.log_batch(run_id, some_metrics, some_params, some_tags, synchronous=True)


def _chunks(values: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (values[first : first + most] for first in range(0, len(values), most))

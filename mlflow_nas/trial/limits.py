"""Metrics by name: the better direction, and the step after which they are known; limits on them."""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import TASK_METRICS
from mlflow_nas.types import Direction, Limit, Objective

__all__ = [
    "METRICS",
    "Metric",
    "check_limits",
    "estimates",
    "parse_limits",
    "parse_objectives",
    "screening_limits",
]

StepName = Literal["count", "train", "export", "evaluate", "measure"]


class Metric(NamedTuple):
    """A metric that may be an objective or limited.

    Attributes:
        name: as runs log it.
        direction: the better one.
        step: after which it is known; metrics of `measure` can be measured with untrained weights.
    """

    name: str
    direction: Direction
    step: StepName


METRICS = (
    Metric("params", "minimize", "count"),
    Metric("macs", "minimize", "count"),
    Metric("flops", "minimize", "count"),
    Metric("train_s", "minimize", "train"),
    *(Metric(name, "maximize", "evaluate") for names in TASK_METRICS.values() for name in names),
    *(Metric(f"{name}_fp32", "maximize", "evaluate") for names in TASK_METRICS.values() for name in names),
    Metric("model_size_bytes", "minimize", "measure"),
    Metric("latency_ms", "minimize", "measure"),
    Metric("latency_ratio", "minimize", "measure"),
    Metric("latency_raw_ms", "minimize", "measure"),
    Metric("speedup", "maximize", "measure"),
    Metric("energy_mj", "minimize", "measure"),
    Metric("power_w", "minimize", "measure"),
    Metric("load_ms", "minimize", "measure"),
    Metric("first_run_ms", "minimize", "measure"),
    Metric("pipeline_ms", "minimize", "measure"),
    Metric("peak_memory_bytes", "minimize", "measure"),
    Metric("npu_share", "maximize", "measure"),
    Metric("sram_bytes", "minimize", "measure"),
    Metric("dram_bytes", "minimize", "measure"),
)

_BY_NAME = {metric.name: metric for metric in METRICS}
_LIMIT = re.compile(r"\s*([A-Za-z]\w*)\s*(<=|>=)\s*(\S+)\s*")


def _metric(name: str, option: str) -> Metric:
    if name not in _BY_NAME:
        near = difflib.get_close_matches(name, _BY_NAME, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_BY_NAME)}."
        raise ConfigError(f"{option}: there is no metric {name!r}: {hint}")
    return _BY_NAME[name]


def parse_limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """Limits from texts such as "params<=2e5" and "speedup>=1.5".

    Raises:
        ConfigError: a text is no limit, its metric is unknown, or its bound is no finite number.
    """
    limits = []
    for text in texts:
        found = _LIMIT.fullmatch(text)
        if not found:
            raise ConfigError(f"--limit {text!r} is no limit: write METRIC<=NUMBER or METRIC>=NUMBER.")
        name, operator, number = found.groups()
        try:
            bound = float(number)
        except ValueError:
            bound = math.nan
        if not math.isfinite(bound):
            raise ConfigError(
                f"--limit {text!r}: the bound {number!r} is no finite number: write one, such as 12."
            )
        limits.append(Limit(_metric(name, "--limit").name, "<=" if operator == "<=" else ">=", bound))
    return tuple(limits)


def parse_objectives(names: Sequence[str]) -> tuple[Objective, ...]:
    """Objectives by the names of their metrics.

    Raises:
        ConfigError: fewer than two, one twice, or an unknown metric.
    """
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError(f"--objectives {','.join(names)}: name two or more different metrics.")
    return tuple(Objective(name, _metric(name, "--objectives").direction) for name in names)


def estimates(name: str) -> str:
    """The metric that stands for another one while a training is under way.

    That of the float network for the accuracy of the shipped file; counts and what a board measures of the
    untrained network for themselves.

    Raises:
        ConfigError: it is known after a training only.
    """
    metric = _metric(name, "--objectives")
    if metric.step == "train":
        raise ConfigError(
            f"The objective {name} is known at the end of a training only: leave it out, or give "
            "--early-stopping none."
        )
    return f"{name.removesuffix('_fp32')}_fp32" if metric.step == "evaluate" else name


def screening_limits(limits: Iterable[Limit]) -> bool:
    """Whether a limit can be checked on the board before a training, with untrained weights."""
    return any(_BY_NAME[limit.metric].step == "measure" for limit in limits)


def check_limits(limits: Iterable[Limit], metrics: Mapping[str, float]) -> dict[str, float]:
    """Limit to its violation (feasible when <= 0), for the limits whose metric is known."""
    return {str(limit): limit.violation(metrics[limit.metric]) for limit in limits if limit.metric in metrics}

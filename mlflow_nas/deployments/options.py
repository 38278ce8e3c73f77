"""The -C options of deployments."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from mlflow_nas.deployments.pull import parse_bucket
from mlflow_nas.errors import ConfigError
from mlflow_nas.networks import THRESHOLD

__all__ = ["MAX_DROP", "MAX_REGRESSION", "Options", "parse_options"]

MAX_REGRESSION = 0.1
MAX_DROP = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a version is deployed.

    Attributes:
        force: also a version that is not int8, not measured, measured elsewhere, or without golden samples.
        max_regression: limit of the slowdown against the active version, as a share; None for any.
        max_drop: limit of the drop of accuracy below the active version's, measured on the same data; None
            for any.
        threshold: score from which `predict` reports a detection.
        via: s3://BUCKET/PREFIX from which devices download the file; None uploads it to them.
        atomic: roll a group back when its rollout stops.
        rollback: make the previous version active again instead.
    """

    force: bool = False
    max_regression: float | None = MAX_REGRESSION
    max_drop: float | None = MAX_DROP
    threshold: float = THRESHOLD
    via: str | None = None
    atomic: bool = False
    rollback: bool = False


_KNOWN = tuple(field.name for field in fields(Options))


def parse_options(config: Mapping[str, Any] | None, *, allowed: Collection[str] = _KNOWN) -> Options:
    """The parsed -C options.

    Raises:
        ConfigError: an unknown option or an invalid value.
    """
    texts = {name: str(value) for name, value in (config or {}).items()}
    for name in texts:
        if name not in allowed:
            known = ", ".join(name for name in _KNOWN if name in allowed) or "none here"
            raise ConfigError(f"Unknown option -C {name}: known are {known}.")
    return Options(**{name: _PARSERS[name](name, value) for name, value in texts.items()})


def _switch(name: str, value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise ConfigError(f"-C {name}={value}: give true or false.")
    return value.lower() == "true"


def _share(name: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not share >= 0:
        raise ConfigError(f"-C {name}={value}: give a share of at least 0, such as 0.1 for a tenth.")
    return share


def _fraction(name: str, value: str) -> float:
    found = _share(name, value)
    if found > 1:
        raise ConfigError(f"-C {name}={value}: give a number in 0..1, such as 0.3.")
    return found


def _bucket(_name: str, value: str) -> str:
    parse_bucket(value)
    return value


_PARSERS: Mapping[str, Any] = {
    "force": _switch,
    "max_regression": _share,
    "max_drop": _share,
    "threshold": _fraction,
    "via": _bucket,
    "atomic": _switch,
    "rollback": _switch,
}

"""What the commands of the registry return, beside `registry.Reconciliation`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlflow_nas.api.results import Result, Row

if TYPE_CHECKING:
    from mlflow_nas.registry import Change

__all__ = ["HookResult", "PinResult", "PublishResult", "RegisterResult", "WatchResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PinResult(Result):
    """Result of `pin`.

    Attributes:
        model: the registered model.
        alias: that is pinned, or given back.
        version: that keeps it; None where it is given back.
        changes: a row each.
    """

    model: str
    alias: str
    version: int | None
    changes: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult(Result):
    """Result of `publish`.

    Attributes:
        manifest: that was published.
        to: the bucket, or "mlflow".
        devices: what the devices have reported to the bucket; those of a server tag the versions themselves.
        program: the file that runs on the devices, where it was asked for.
    """

    manifest: Mapping[str, Any]
    to: str
    devices: tuple[Row, ...]
    program: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchResult(Result):
    """Result of `watch`: of its last check.

    Attributes:
        model: the registered model.
        changes: of its settings, tags and aliases.
        notes: sentences for the user: no champion, pins, refused versions, deleted runs.
        deployed: device to manifest, of those that got a new champion.
    """

    model: str
    changes: "tuple[Change, ...]"
    notes: tuple[str, ...]
    deployed: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class HookResult(Result):
    """Result of the commands of `webhook`: a sentence."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterResult(Result):
    """Result of `register`.

    Attributes:
        model: the registered model.
        version: the file's.
        precision: int8, or fp32, which takes part in no front.
        metrics: name to value.
        changes: of the promotion that followed.
        notes: sentences for the user.
    """

    model: str
    version: str
    precision: str
    metrics: Mapping[str, float]
    changes: "tuple[Change, ...]"
    notes: tuple[str, ...]

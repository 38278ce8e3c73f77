"""What the commands of the registry return, beside `registry.Reconciliation`."""

from dataclasses import dataclass

from mlflow_nas.api.results import Result, Row

__all__ = ["PinResult"]


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

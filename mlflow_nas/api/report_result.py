"""What `report` returns."""

from dataclasses import dataclass
from pathlib import Path

from mlflow_nas.api.results import Result, Row

__all__ = ["ReportResult"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportResult(Result):
    """Result of `report`.

    Attributes:
        studies: that are compared.
        rows: one per strategy; none before the end of a search.
        searches: the logged costs, by study and strategy.
        plans: of searches with a budget: forecast beside actual.
        pages: HTML files that were written.
        notes: further sentences for the user.
    """

    studies: tuple[str, ...]
    rows: tuple[Row, ...]
    searches: tuple[Row, ...]
    plans: tuple[Row, ...] = ()
    pages: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

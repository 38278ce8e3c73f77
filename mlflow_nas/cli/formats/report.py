"""Pages of studies and the comparison of searches as text."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.api import CompareResult, ReportResult
from mlflow_nas.cli.formats.table import format_table

__all__ = ["format_compare", "format_report"]

_COLUMNS = {
    "strategy": "strategy",
    "searches": "searches",
    "tau": "tau",
    "tau_bbc": "tau BBC",
    "init_s": "init s",
    "query_s": "query s",
    "search_s": "search s",
    "post_search_s": "post-search s",
    "cold_s": "cold s",
    "speedup_cold": "x cold",
    "speedup_amortised": "x amortised",
    "trainings": "trainings",
    "best_quality": "best quality",
    "best_quality_sd": "sd",
    "equal_compute_quality": "full, same n",
    "hypervolume": "hypervolume",
    "latency_at_reference_quality_ms": "ms at the reference's",
}
_MEANING = """
x cold: seconds of full training over all seconds that were spent: seed network, samples, selection of the
strategy, search, trainings after it. x amortised leaves out what other searches share (seed network,
samples, selection). full, same n: the best quality of full training with the same number of trainings."""


def format_report(result: ReportResult) -> str:
    """The pages, the table, what its columns mean, and where it was measured."""
    pages = [f"Page: {page}" for page in result.pages]
    if not result.rows:
        return "\n".join([*pages, *result.notes])
    shown = [{title: _interval(row, name) for name, title in _COLUMNS.items()} for row in result.rows]
    places = sorted({f"trained on {row['trained_on']}, timed on {row['board']}" for row in result.rows})
    return "\n".join(
        [
            f"\nSearches of {', '.join(result.studies)}, recomputed from their logged costs:",
            format_table(shown),
            _MEANING,
            *places,
            *(["\nSearches with a budget:", format_table(result.plans)] if result.plans else []),
            *result.notes,
            *pages,
        ]
    )


def _interval(row: Mapping[str, Any], name: str) -> Any:
    """A value, tau with its interval."""
    if name != "tau" or row["tau_ci_low"] is None:
        return row[name]
    return f"{row['tau']:.2f} [{row['tau_ci_low']:.2f}, {row['tau_ci_high']:.2f}]"


def format_compare(result: CompareResult) -> str:
    """The file, and what each detector did on it."""
    rows = [
        {"detector": name, "median ms": median_ms, "boxes": result.detections[name]}
        for name, median_ms in result.median_ms.items()
    ]
    return f"{format_table(rows)}\n{result.frames} frames in {result.out}; times of this machine."

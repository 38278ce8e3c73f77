"""The honest table in words."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.cli.words import table

__all__ = ["reported_words"]

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
    "best_map": "best mAP",
    "best_map_sd": "sd",
    "equal_compute_map": "full, as many",
    "hypervolume": "hypervolume",
    "latency_at_baseline_map_ms": "ms at baseline mAP",
}
_MEANING = """
x cold: full training's seconds over all that was paid: seed network, samples, choice of the strategy,
search, trainings after it. x amortised leaves out what other searches share (seed network, samples,
choice). full, as many: the best mAP of full training with as many trainings."""


def reported_words(result: Mapping[str, Any]) -> str:
    """The table, what its columns mean, and where it was measured."""
    rows = result["rows"]
    shown = [{title: _interval(row, name) for name, title in _COLUMNS.items()} for row in rows]
    places = sorted({f"trained on {row['trained_on']}, timed on {row['board']}" for row in rows})
    return "\n".join(
        [
            f"\nSearches of {', '.join(result['studies'])}, recomputed from their logged terms:",
            table(shown),
            _MEANING,
            *places,
        ]
    )


def _interval(row: Mapping[str, Any], name: str) -> Any:
    """A value, tau with its interval."""
    if name != "tau" or row["tau_ci_low"] is None:
        return row[name]
    return f"{row['tau']:.2f} [{row['tau_ci_low']:.2f}, {row['tau_ci_high']:.2f}]"

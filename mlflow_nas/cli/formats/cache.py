"""The step cache as text."""

from mlflow_nas.api import CacheReport
from mlflow_nas.cli.formats.table import format_size, format_table

__all__ = ["format_cache"]


def format_cache(result: CacheReport) -> str:
    """Entries and size of each step, and of all with the limit."""
    rows = [
        {"step": step, "entries": entries, "size": format_size(size)}
        for step, (entries, size) in result.steps.items()
    ]
    removed = f"{result.removed} entries removed. " if result.removed else ""
    return "\n".join(
        [
            f"Step cache {result.folder}:",
            format_table(rows),
            f"{removed}{result.entries} entries, {format_size(result.size_bytes)} of at most "
            f"{format_size(result.limit_bytes)}.",
        ]
    )

"""Aligned tables, numbers and links."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.redact import redact

__all__ = ["format_percent", "format_size", "format_table", "format_ui", "format_value"]

_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns, aligned; "(none)" without a row."""
    if not rows:
        return "(none)"
    cells = [list(rows[0]), *([format_value(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def format_value(value: object) -> str:
    """Three decimals for a float, "-" for none."""
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def format_percent(share: float) -> str:
    """12.5 % for 0.125."""
    return f"{100 * share:.1f} %"


def format_size(size_bytes: float) -> str:
    """1.5 MB for 1,500,000 bytes."""
    for unit in _UNITS[:-1]:
        if size_bytes < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} {_UNITS[-1]}"


def format_ui(tracking_uri: str, experiment_id: str | None, run_id: str | None) -> str:
    """The page of a run, and the command that serves it where no server does; without passwords."""
    page = f"#/experiments/{experiment_id}/runs/{run_id}?workflowType=machine_learning"
    shown = redact(tracking_uri)
    if shown.startswith("http"):
        return f"{shown.rstrip('/')}/{page}"
    store = shlex.quote(shown) if shown == tracking_uri else '"$MLFLOW_TRACKING_URI"'
    return f"{_mlflow()} server --backend-store-uri {store} --workers 1  (then http://127.0.0.1:5000/{page})"


def _mlflow() -> str:
    """MLflow's command of this environment, which need not be on the user's PATH."""
    script = Path(sys.executable).with_name("mlflow")
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)

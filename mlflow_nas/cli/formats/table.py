"""Tables, numbers and links."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mlflow_nas.redact import redact

__all__ = ["format_percent", "format_size", "format_table", "format_ui", "format_value"]

_UNLIMITED = 100_000
"""Characters of a line that is not cut."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the same columns, aligned; "(none)" without a row.

    On a terminal sentences wrap between words, where that makes the table fit; else a row is one
    line, in full.
    """
    if not rows:
        return "(none)"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True)
    for name in rows[0]:
        is_text = any(isinstance(row[name], str) for row in rows)
        table.add_column(Text(name), no_wrap=not is_text)
    for row in rows:
        table.add_row(*(Text(format_value(value)) for value in row.values()))
    terminal, unlimited = Console(), Console(width=_UNLIMITED)
    fits = sys.stdout.isatty() and unlimited.measure(table).minimum <= terminal.width
    console = terminal if fits else unlimited
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


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

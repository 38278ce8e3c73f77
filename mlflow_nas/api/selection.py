"""What a selection leaves in MLflow: numbers, the table, the figure, a description."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_nas.report import selection_description, selection_png
from mlflow_nas.tracking import Client, describe, finish_selection, log_file, log_table

__all__ = ["log_selection"]

_OF_ALL = ("tau", "tau_bbc", "noise_ceiling", "samples", "draws", "sparse_step", "k")


def log_selection(client: Client, run_id: str, result: Mapping[str, Any]) -> None:
    """Store a selection with its run and end the run.

    Metrics are `tau`, `tau_bbc` and the like of the choice and NAME/tau, NAME/ci_low, ... of each strategy;
    the artifacts are `selection.png` and the table `strategies.json`.

    Args:
        client: the MLflow client.
        run_id: of the selection.
        result: the selection as plain values.

    Raises:
        RegistryError: MLflow does not answer.
    """
    rows = result["strategies"]
    columns = [name for name in rows[0] if name != "ci"]
    log_table(
        client,
        run_id,
        [*columns, "ci_low", "ci_high"],
        [[*(row[name] for name in columns), *row["ci"]] for row in rows],
        "strategies.json",
    )
    with tempfile.TemporaryDirectory() as folder:
        log_file(client, run_id, selection_png(result, Path(folder) / "selection.png"))
    describe(client, run_id, selection_description(result))
    finish_selection(client, run_id, metrics=_metrics(result), tags=_tags(result))


def _metrics(result: Mapping[str, Any]) -> dict[str, float]:
    metrics = {name: result[name] for name in _OF_ALL}
    metrics |= _bounds("tau_ci", result["tau_ci"]) | _bounds("tau_bbc_ci", result["tau_bbc_ci"])
    for row in result["strategies"]:
        metrics |= {f"{row['name']}/{name}": value for name, value in row.items()}
        metrics |= _bounds(f"{row['name']}/ci", row["ci"])
    return {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}


def _bounds(name: str, interval: tuple[float | None, float | None]) -> dict[str, float | None]:
    return {f"{name}_low": interval[0], f"{name}_high": interval[1]}


def _tags(result: Mapping[str, Any]) -> dict[str, str]:
    return {
        "nas.selected": result["selected"] or "",
        "nas.winner": result["winner"] or "",
        "nas.reason": result["reason"],
        "nas.indistinguishable": ", ".join(result["indistinguishable"]),
    }

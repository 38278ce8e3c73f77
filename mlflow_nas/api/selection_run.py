"""The run of a selection: opened before any quality is known, ended with numbers, table and figure."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow_nas.api.project_run import experiment_for
from mlflow_nas.config import TrackingSection
from mlflow_nas.report import selection_description, selection_png
from mlflow_nas.tracking import (
    Client,
    connect,
    default_uri,
    describe,
    finish_selection,
    log_file,
    log_table,
    start_selection,
)

__all__ = ["SelectionRun", "logged_selection"]

_OF_ALL = ("tau", "tau_bbc", "noise_ceiling", "samples", "draws", "sparse_step", "k")


@dataclass(kw_only=True)
class SelectionRun:
    """A selection's run; what is put into `result` is logged when the run ends."""

    run_id: str
    experiment_id: str
    result: dict[str, Any] = field(default_factory=dict)


@contextmanager
def logged_selection(
    tracking: TrackingSection,
    *,
    name: str,
    params: Mapping[str, object],
    tags: Mapping[str, str] | None = None,
    parent_id: str | None = None,
    run_id: str | None = None,
) -> Iterator[SelectionRun]:
    """Open a selection's run; log the result that the block has set, or end the run as failed.

    Args:
        tracking: where the run is made.
        name: of the run.
        params: the options, logged before anything is known.
        tags: further tags.
        parent_id: the study's run; None for a table.
        run_id: the run that `mlflow run` created; None creates one.

    Raises:
        RegistryError: MLflow does not answer.
    """
    client = connect(default_uri())
    experiment_id = experiment_for(client, run_id, tracking)
    own = start_selection(
        client,
        experiment_id=experiment_id,
        name=name,
        params=params,
        tags=tags or {},
        parent_id=parent_id,
        run_id=run_id,
    )
    run = SelectionRun(run_id=own, experiment_id=experiment_id)
    try:
        yield run
        _log(client, own, run.result)
    except BaseException:
        client.set_terminated(own, "FAILED")
        raise


def _log(client: Client, run_id: str, result: Mapping[str, Any]) -> None:
    """Metrics of the choice and of each strategy as NAME/tau, a table, a figure, a description."""
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

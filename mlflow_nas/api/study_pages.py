"""Pages of studies: written beside the study, logged to its run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.search_costs import searches_of
from mlflow_nas.config import ReportConfig
from mlflow_nas.errors import ConfigError, NasError

if TYPE_CHECKING:
    from mlflow_nas.report import StudyReport
    from mlflow_nas.tracking import StudyRuns

__all__ = ["Page", "comparison_page", "is_stored", "study_page"]

_FILE = "report.html"
_LOCAL_UI = "http://127.0.0.1:5000"


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was written.

    Attributes:
        path: of the file.
        has_costs: a search of the study has ended.
        notes: sentences for the user.
        charts: address of the study's charts in MLflow; None where MLflow is not known.
    """

    path: Path
    has_costs: bool = True
    notes: tuple[str, ...] = ()
    charts: str | None = None


def is_stored(study: str, storage: str | None) -> bool:
    """Whether Optuna's storage has the study."""
    from mlflow_nas.search import load_store

    try:
        load_store(study, storage)
    except ConfigError:
        return False
    return True


def study_page(study: str, config: ReportConfig, *, log: bool = True) -> Page:
    """Write a study's page, and log it to the study's run where MLflow has one.

    Args:
        study: its name.
        config: where the study is stored and logged, and the file.
        log: ask MLflow; without, the page has no links to runs.

    Raises:
        ConfigError: there is no such study in the storage.
    """
    from mlflow_nas.report import write_study_page
    from mlflow_nas.search import study_folder
    from mlflow_nas.tracking import connect, default_uri, log_file

    found, notes = _load(study, config, log=log)
    path = config.out or study_folder(study) / _FILE
    write_study_page(found, path)
    if found.run_id is not None:
        try:
            log_file(connect(default_uri()), found.run_id, path)
            _set_view(found)
        except NasError as error:
            notes.append(f"The report is not in MLflow: {error}")
    return Page(path, bool(found.speedups), tuple(notes), found.charts_page or None)


def _set_view(report: "StudyReport") -> None:
    from mlflow_nas.tracking import connect, default_uri, set_view

    choices = dict.fromkeys(name for one in report.results for name in one.architecture)
    set_view(
        connect(default_uri()),
        str(report.run_id),
        report.study,
        objectives=[one.name for one in report.objectives],
        choices=list(choices),
    )


def comparison_page(first: str, second: str, config: ReportConfig) -> Page:
    """Write one page of two studies.

    Raises:
        ConfigError: there is no such study in the storage, or they optimize different metrics.
    """
    from mlflow_nas.report import write_comparison_page
    from mlflow_nas.search import study_folder

    (one, notes), (other, more) = (_load(study, config) for study in (first, second))
    if one.objectives != other.objectives:
        names = [", ".join(objective.name for objective in found.objectives) for found in (one, other)]
        raise ConfigError(
            f"{first!r} optimizes {names[0]}, {second!r} optimizes {names[1]}: name two studies of the same "
            "objectives."
        )
    path = config.out or study_folder(first) / f"report-{first}-{second}.html"
    write_comparison_page(one, other, path)
    return Page(path, notes=tuple(dict.fromkeys([*notes, *more])))


def _load(study: str, config: ReportConfig, *, log: bool = True) -> "tuple[StudyReport, list[str]]":
    """The study with its runs and its speed-up table, and sentences about what is missing."""
    from mlflow_nas.report import speedup_table
    from mlflow_nas.search import load_store, load_study_report, stored_costs
    from mlflow_nas.tracking import view_link

    storage = config.search.storage
    uid = str(load_store(study, storage).value("nas.uid"))
    runs, notes = _runs(uid, config) if log else (None, [])
    found = load_study_report(study, storage, runs=runs.runs if runs else None)
    if runs is not None:
        found = replace(
            found,
            run_id=runs.run_id,
            runs_page=f"{_ui()}/#/experiments/{runs.experiment_id}/runs/",
            charts_page=f"{_ui()}/{view_link(runs.experiment_id, study)}",
        )
    try:
        costs = stored_costs(study, storage)
    except ConfigError:  # no search of the study has ended
        costs = None
    rows = speedup_table(searches_of(costs), full_trials=config.full_trials) if costs else []
    return replace(found, speedups=tuple(rows)), notes


def _runs(uid: str, config: ReportConfig) -> "tuple[StudyRuns | None, list[str]]":
    from mlflow_nas.tracking import connect, default_uri, find_experiment, runs_of_study

    try:
        client = connect(default_uri())
        experiment = find_experiment(client, config.tracking.experiment)
        found = runs_of_study(client, experiment, uid) if experiment else None
    except NasError as error:
        return None, [f"The report has no links to runs: {error}"]
    missing = [
        f"The experiment {config.tracking.experiment!r} has no run of the study: no links, not logged."
    ]
    return found, [] if found else missing


def _ui() -> str:
    """The address of MLflow's UI; a database is served at MLflow's own port."""
    from mlflow_nas.redact import redact
    from mlflow_nas.tracking import default_uri

    uri = redact(default_uri())
    return uri.rstrip("/") if uri.startswith("http") else _LOCAL_UI

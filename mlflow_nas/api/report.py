"""`mlflow_nas report`: the page of a study, and what its searches cost."""

from pathlib import Path

from mlflow_nas.api.planning import PLAN
from mlflow_nas.api.report_result import ReportResult
from mlflow_nas.api.search_costs import check_comparable, costs_of, searches_of
from mlflow_nas.api.settings import read_settings
from mlflow_nas.api.study_pages import comparison_page, is_stored, study_page
from mlflow_nas.config import ReportConfig
from mlflow_nas.errors import ConfigError

__all__ = ["report"]


def report(
    settings: ReportConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> ReportResult:
    """Write the page of each study, and compute the speed-up table of all: cold, amortised, at equal compute.

    A study is read from Optuna's storage; one that is not there from MLflow, which has the costs alone. The
    page is logged to the study's run.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, there is no such study, or the studies' data, spaces or precisions differ;
        RegistryError: MLflow does not answer.
    """
    chosen = read_settings(ReportConfig, settings, options, config)
    if chosen.compare:
        return _compare(chosen)
    from mlflow_nas.report import speedup_table

    pages = [study_page(one, chosen) for one in chosen.study if is_stored(one, chosen.search.storage)]
    costs = [
        costs_of(study, chosen.search.storage, chosen.tracking.experiment)
        for study in chosen.study
        if len(chosen.study) > 1 or not pages or pages[0].has_costs
    ]
    check_comparable(costs)
    searches = [search for one in costs for search in searches_of(one)]
    return ReportResult(
        studies=tuple(chosen.study),
        pages=tuple(page.path for page in pages),
        rows=tuple(speedup_table(searches, full_trials=chosen.full_trials)),
        searches=tuple(
            {"study": search.study, "estimator": search.estimator, **search.terms} for search in searches
        ),
        plans=tuple(_plans(chosen)),
        notes=tuple(note for page in pages for note in page.notes),
    )


def _plans(config: ReportConfig) -> list[dict[str, object]]:
    """Forecast beside actual of the studies that had a budget; of those in this storage."""
    from mlflow_nas.search import load_store

    rows: list[dict[str, object]] = []
    for study in config.study:
        try:
            plan = load_store(study, config.search.storage).value(PLAN)
        except ConfigError:  # it is in MLflow only
            continue
        if plan is not None:
            forecast = plan["forecast_s"]
            rows.append(
                {
                    "study": study,
                    "route": plan["route"],
                    "forecast_s": forecast["mean"],
                    "low_s": forecast["low"],
                    "high_s": forecast["high"],
                    "actual_s": plan.get("actual_s"),
                    "forecast_trials": plan["forecast_trials"],
                    "actual_trials": plan.get("actual_trials"),
                }
            )
    return rows


def _compare(config: ReportConfig) -> ReportResult:
    if len(config.compare) != 2:
        raise ConfigError(
            f"--compare {','.join(config.compare)} names {len(config.compare)} studies, a page "
            "compares two: write --compare FIRST,SECOND."
        )
    page = comparison_page(config.compare[0], config.compare[1], config)
    return ReportResult(
        studies=tuple(config.compare), pages=(page.path,), rows=(), searches=(), notes=page.notes
    )

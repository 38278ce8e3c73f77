"""`mlflow_nas report`: what searches cost and what that bought, recomputed from the logged terms."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.config import ReportConfig, load_config

if TYPE_CHECKING:
    from mlflow_nas.report import SearchCosts
    from mlflow_nas.tracking import StudyCosts

__all__ = ["report"]

_SELECTED = {"tau": "tau", "ci_low": "tau_ci_low", "ci_high": "tau_ci_high", "tau_bbc": "tau_bbc"}


def report(*, config: Path | None = None, **options: object) -> dict[str, object]:
    """The speed-up table of one or several studies: cold, amortised and at equal compute.

    Args:
        config: a YAML file with options.
        options: fields of `mlflow_nas.config.ReportConfig`.

    Returns:
        studies, rows (one per strategy) and searches (the logged terms, by study and strategy).

    Raises:
        ConfigError: an option, or there is no such study; RegistryError: MLflow does not answer.
    """
    chosen = load_config(ReportConfig, options, file=config)
    from mlflow_nas.report import speedup_table
    from mlflow_nas.tracking import connect, default_uri, study_costs

    client = connect(default_uri())
    searches = [
        search
        for study in chosen.study
        for search in _searches(study_costs(client, chosen.experiment, study))
    ]
    return {
        "studies": list(chosen.study),
        "rows": speedup_table(searches, full_trials=chosen.full_trials),
        "searches": [
            {"study": search.study, "estimator": search.estimator, **search.terms} for search in searches
        ],
    }


def _searches(costs: "StudyCosts") -> "list[SearchCosts]":
    """A study's searches, with what its selection said of their strategies."""
    from mlflow_nas.report import FULL, SearchCosts

    return [
        SearchCosts(
            study=costs.study,
            estimator=estimator,
            terms={**terms, **_of_selection(costs.selection, estimator)},
            maps=costs.maps if estimator == FULL else (),
            trained_on=costs.tags.get("nas.trained_on", ""),
            board=costs.tags.get("nas.board", ""),
        )
        for estimator, terms in costs.terms.items()
    ]


def _of_selection(selection: Mapping[str, float], estimator: str) -> dict[str, float]:
    """Tau with its interval, as the selection logged them."""
    return {
        term: selection[f"{estimator}/{name}"]
        for name, term in _SELECTED.items()
        if f"{estimator}/{name}" in selection
    }

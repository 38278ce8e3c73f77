"""`mlflow_nas report`: costs and speed-ups of searches, computed from their terms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.api.results import ReportResult
from mlflow_nas.api.settings import read_settings
from mlflow_nas.config import ReportConfig
from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.report import SearchCosts
    from mlflow_nas.tracking import StudyCosts

__all__ = ["report"]

_SELECTED = {"tau": "tau", "ci_low": "tau_ci_low", "ci_high": "tau_ci_high", "tau_bbc": "tau_bbc"}
_COMPARABLE = {
    "nas.dataset": "data",
    "nas.space": "search spaces",
    "nas.choices": "choices",
    "nas.precision": "precisions",
}


def report(
    settings: ReportConfig | None = None, /, *, config: Path | str | None = None, **options: object
) -> ReportResult:
    """The speed-up table of one or several studies: cold, amortised and at equal compute.

    A study is read from Optuna's storage; one that is not there from MLflow.

    Args:
        settings: the configuration; None for keywords.
        config: a YAML file with further settings.
        options: settings by option or dotted name.

    Raises:
        ConfigError: a setting, there is no such study, or the studies' data, spaces or precisions differ;
        RegistryError: MLflow does not answer.
    """
    chosen = read_settings(ReportConfig, settings, options, config)
    from mlflow_nas.report import speedup_table

    costs = [_costs(study, chosen) for study in chosen.study]
    _check_comparable(costs)
    searches = [search for one in costs for search in _searches(one)]
    return ReportResult(
        studies=tuple(chosen.study),
        rows=tuple(speedup_table(searches, full_trials=chosen.full_trials)),
        searches=tuple(
            {"study": search.study, "estimator": search.estimator, **search.terms} for search in searches
        ),
    )


def _costs(study: str, config: ReportConfig) -> "StudyCosts":
    from mlflow_nas.search import stored_costs
    from mlflow_nas.tracking import connect, default_uri, study_costs

    found = stored_costs(study, config.search.storage)
    return found or study_costs(connect(default_uri()), config.tracking.experiment, study)


def _check_comparable(costs: "Sequence[StudyCosts]") -> None:
    """Quality on other data, of other networks or of other files is another question."""
    for tag, what in _COMPARABLE.items():
        values = {one.tags[tag]: one.study for one in costs if tag in one.tags}
        if len(values) > 1:
            (value, study), (other_value, other_study) = list(values.items())[:2]
            raise ConfigError(
                f"Studies of different {what} can't be averaged: {study!r} has {value!r}, "
                f"{other_study!r} has {other_value!r}; report them one by one."
            )


def _searches(costs: "StudyCosts") -> "list[SearchCosts]":
    """A study's searches, with the selection's figures of their strategies."""
    from mlflow_nas.report import FULL, SearchCosts

    return [
        SearchCosts(
            study=costs.study,
            estimator=estimator,
            terms={**terms, **_of_selection(costs.selection, estimator)},
            qualities=costs.qualities if estimator == FULL else (),
            trained_on=costs.tags.get("nas.trained_on", ""),
            board=costs.tags.get("nas.board", ""),
        )
        for estimator, terms in costs.terms.items()
    ]


def _of_selection(selection: Mapping[str, float], estimator: str) -> dict[str, float]:
    """Tau with its interval."""
    return {
        term: selection[f"{estimator}/{name}"]
        for name, term in _SELECTED.items()
        if f"{estimator}/{name}" in selection
    }

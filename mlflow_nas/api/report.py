"""`mlflow_nas report`: what searches cost and what that bought, recomputed from the logged terms."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_nas.config import ReportConfig, load_config
from mlflow_nas.errors import ConfigError

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
        ConfigError: an option, there is no such study, or the studies' data, spaces or precisions differ;
        RegistryError: MLflow does not answer.
    """
    chosen = load_config(ReportConfig, options, file=config)
    from mlflow_nas.report import speedup_table
    from mlflow_nas.tracking import connect, default_uri, study_costs

    client = connect(default_uri())
    costs = [study_costs(client, chosen.experiment, study) for study in chosen.study]
    _check_comparable(costs)
    searches = [search for one in costs for search in _searches(one)]
    return {
        "studies": list(chosen.study),
        "rows": speedup_table(searches, full_trials=chosen.full_trials),
        "searches": [
            {"study": search.study, "estimator": search.estimator, **search.terms} for search in searches
        ],
    }


def _check_comparable(costs: "Sequence[StudyCosts]") -> None:
    """One table is of one question: mAP on other data, of other networks or other files is another one."""
    from mlflow_nas.tracking import names

    same = {
        names.DATASET: "data",
        names.SPACE: "search spaces",
        names.CHOICES: "choices",
        names.PRECISION: "precisions",
    }
    for tag, what in same.items():
        told = {one.tags[tag]: one.study for one in costs if tag in one.tags}
        if len(told) > 1:
            (value, study), (other_value, other_study) = list(told.items())[:2]
            raise ConfigError(
                f"Studies of different {what} can't be averaged: {study!r} has {value!r}, "
                f"{other_study!r} has {other_value!r}; report them one by one."
            )


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

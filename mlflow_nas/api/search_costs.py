"""Costs of studies' searches, with the selection's figures of their strategies."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlflow_nas.errors import ConfigError

if TYPE_CHECKING:
    from mlflow_nas.report import SearchCosts
    from mlflow_nas.tracking import StudyCosts

__all__ = ["check_comparable", "costs_of", "searches_of"]

_SELECTED = {"tau": "tau", "ci_low": "tau_ci_low", "ci_high": "tau_ci_high", "tau_bbc": "tau_bbc"}
_COMPARABLE = {
    "nas.dataset": "data",
    "nas.space": "search spaces",
    "nas.choices": "choices",
    "nas.precision": "precisions",
}


def costs_of(study: str, storage: str | None, experiment: str) -> "StudyCosts":
    """The costs of a study: from Optuna's storage, else from MLflow.

    Raises:
        ConfigError: there is no such study, or no search of it has ended.
        RegistryError: MLflow does not answer.
    """
    from mlflow_nas.search import stored_costs
    from mlflow_nas.tracking import connect, default_uri, study_costs

    found = stored_costs(study, storage)
    return found or study_costs(connect(default_uri()), experiment, study)


def check_comparable(costs: "Sequence[StudyCosts]") -> None:
    """Quality on other data, of other networks or of other files is another question.

    Raises:
        ConfigError: the studies differ in one of these.
    """
    for tag, what in _COMPARABLE.items():
        values = {one.tags[tag]: one.study for one in costs if tag in one.tags}
        if len(values) > 1:
            (value, study), (other_value, other_study) = list(values.items())[:2]
            raise ConfigError(
                f"Studies of different {what} can't be averaged: {study!r} has {value!r}, "
                f"{other_study!r} has {other_value!r}; report them one by one."
            )


def searches_of(costs: "StudyCosts") -> "list[SearchCosts]":
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

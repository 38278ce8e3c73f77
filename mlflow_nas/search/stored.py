"""Costs of a study's searches, read from its storage for reports."""

from collections.abc import Mapping
from typing import Any

from mlflow_nas.errors import ConfigError
from mlflow_nas.search.estimation import COSTS
from mlflow_nas.search.session import load_store
from mlflow_nas.search.store import ORIGIN, StudyStore
from mlflow_nas.tracking import StudyCosts

__all__ = ["stored_costs"]

_TAGS = ("nas.dataset", "nas.space", "nas.precision", "nas.board")


def stored_costs(study: str, storage: str | None) -> StudyCosts | None:
    """The costs of a study's searches; None where the storage has no such study.

    Raises:
        ConfigError: no search of the study has ended.
    """
    try:
        store = load_store(study, storage)
    except ConfigError:
        return None
    terms = {
        name.removeprefix(COSTS): store.value(name)
        for name in store.study.user_attrs
        if name.startswith(COSTS)
    }
    if not terms:
        raise ConfigError(
            f"No search of the study {study!r} has ended, which its costs need: rerun the search."
        )
    fixed: Mapping[str, Any] = store.value("nas.fixed") or {}
    tags = {tag: str(fixed[tag]) for tag in _TAGS if tag in fixed}
    return StudyCosts(
        study=study,
        terms=terms,
        tags={
            **tags,
            "nas.choices": str(fixed.get("choices")),
            "nas.trained_on": str(store.value("nas.trained_on") or ""),
        },
        selection=_selection(store.value("nas.selection") or {}),
        qualities=_qualities(store),
    )


def _selection(selection: Mapping[str, Any]) -> dict[str, float]:
    """The figures of each strategy, under the names of the selection's run."""
    figures = {}
    for row in selection.get("strategies", ()):
        low, high = row["ci"]
        for name, value in {
            "tau": row["tau"],
            "tau_bbc": row["tau_bbc"],
            "ci_low": low,
            "ci_high": high,
        }.items():
            if value is not None:
                figures[f"{row['name']}/{name}"] = float(value)
    return figures


def _qualities(store: StudyStore) -> tuple[float, ...]:
    """The first objective of the trials that no estimate chose, higher is better."""
    objective = store.objectives[0]
    chosen = {one.number for one in store.trials() if one.user_attrs.get(ORIGIN, {}).get("chosen_by")}
    values = [
        one.metrics[objective.name]
        for one in store.results()
        if one.number not in chosen and objective.name in one.metrics
    ]
    return tuple(values) if objective.maximize else tuple(-value for value in values)

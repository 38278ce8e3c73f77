"""A search that trains the candidates that an estimate chose, and decides by measured quality."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_nas.search.estimation.options import EstimateOptions
from mlflow_nas.search.estimation.pool import satisfies
from mlflow_nas.search.estimation.search_cost import compute_cost, found_terms, trained_of
from mlflow_nas.search.estimation.shortlist import Shortlist, make_shortlist
from mlflow_nas.search.estimation.study import Study, quality
from mlflow_nas.search.estimation.study_selection import SELECTION_SECONDS, SELECTION_SUPERNET
from mlflow_nas.types import TrialResult

__all__ = ["COSTS", "FULL", "EstimatedResult", "full_cost", "search_estimated"]

_log = logging.getLogger(__name__)

FULL = "full"
"""The name of a search without an estimate."""
COSTS = "estimation/costs/"
"""Key of a search's costs in the study's storage, before the strategy's name."""
SHORTLIST = "estimation/shortlist/"


@dataclass(frozen=True, kw_only=True)
class EstimatedResult:
    """The result of a search by an estimate.

    Attributes:
        estimator: the strategy.
        shortlist: its candidates, and reserves.
        chosen: the trials of the shortlist.
        decided: the best by measured quality of these and the samples; None when none is complete.
        costs: all terms of the search's cost.
    """

    estimator: str
    shortlist: Shortlist
    chosen: tuple[TrialResult, ...]
    decided: TrialResult | None
    costs: Mapping[str, float]

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "estimator": self.estimator,
            "latency_model": self.shortlist.latency_model,
            "chosen": [result.as_row() for result in self.chosen],
            "decided": self.decided.as_row() if self.decided else None,
            "costs": dict(self.costs),
        }


def search_estimated(search: Study, options: EstimateOptions) -> EstimatedResult:
    """Shortlist candidates by an estimate, train the best of them, decide by measured quality.

    The shortlist is kept in the study's storage: an interrupted search continues with it, and a repeated call
    trains nothing.

    Args:
        search: the study.
        options: of the estimate.

    Raises:
        ConfigError: the strategy can't score candidates, or needs more trained samples.
        BoardError: two hardware failures in a row.
    """
    name, context = options.strategy.name, search.context
    shortlist = _shortlist(search, options)
    results = search.train(shortlist.members, count=options.top_k, chosen_by=name)
    objective = context.objectives[0]
    keys = [context.space.key(member) for member in shortlist.members]
    chosen = trained_of(keys, results, objective, count=options.top_k)
    numbers = {result.number for result in chosen}
    samples = [result for result in search.sampled() if result.number not in numbers]
    decided = [one for one in (*samples, *chosen) if satisfies(one.metrics, context.limits)]
    costs = {
        **shortlist.costs,
        **compute_cost(samples, chosen, objective),
        **found_terms(decided, objective),
        "seed_s": search.seed_s,
        "selection_s": _selection_s(search, options),
    }
    return EstimatedResult(
        estimator=name,
        shortlist=shortlist,
        chosen=tuple(chosen),
        decided=_best(decided, search),
        costs=_keep_costs(search, name, costs),
    )


def _selection_s(search: Study, options: EstimateOptions) -> float:
    """Seconds of the selection; a supernet that the search uses itself is among the search's seconds."""
    selection_s = float(search.get(SELECTION_SECONDS) or 0.0)
    used = "supernet" in options.strategy.needs
    return selection_s - (float(search.get(SELECTION_SUPERNET) or 0.0) if used else 0.0)


def full_cost(search: Study) -> dict[str, float]:
    """Compute and keep the costs of a search without an estimate, of the trials that no estimate chose."""
    trials, objective = search.sampled(), search.context.objectives[0]
    cost = compute_cost(trials, (), objective)
    costs = {
        "trainings": cost["trainings"],
        "trial_s": cost["trial_s"],
        "search_s": cost["samples_s"],
        "seed_s": search.seed_s,
        **found_terms(trials, objective),
    }
    return _keep_costs(search, FULL, costs)


def _keep_costs(search: Study, name: str, costs: Mapping[str, float]) -> dict[str, float]:
    """The finite terms, kept in the study's storage."""
    finite = {term: value for term, value in costs.items() if math.isfinite(value)}
    search.set(f"{COSTS}{name}", finite)
    return finite


def _shortlist(search: Study, options: EstimateOptions) -> Shortlist:
    """The shortlist of an earlier call with the same options, or a new one."""
    name, digest = options.strategy.name, options.digest(search.context)
    earlier = search.get(f"{SHORTLIST}{name}")
    if earlier is not None and earlier["digest"] == digest:
        _log.warning("The shortlist that %s made earlier with these options is trained.", name)
        return Shortlist.from_json(earlier["shortlist"])
    search.progress.step(f"score with {name}")
    made = make_shortlist(search, options)
    search.set(f"{SHORTLIST}{name}", {"digest": digest, "shortlist": made.as_json()})
    return made


def _best(results: Sequence[TrialResult], search: Study) -> TrialResult | None:
    """The complete result with the best measured quality."""
    objective = search.context.objectives[0]
    known = [(quality(one, objective), one) for one in results if one.state == "complete"]
    measured = [(value, one) for value, one in known if value is not None]
    return max(measured, key=lambda pair: pair[0])[1] if measured else None

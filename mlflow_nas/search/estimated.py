"""A search that trains what an estimate chose, and decides by what was measured."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlflow_nas.search.account import found_terms, spent_terms, trained_of
from mlflow_nas.search.limits import EstimateOptions
from mlflow_nas.search.shortlist import Shortlist, make_shortlist
from mlflow_nas.search.study import Search
from mlflow_nas.train import training_processor
from mlflow_nas.types import Evaluation

__all__ = ["Estimated", "account_full", "search_estimated"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What became of the estimate.

    Attributes:
        estimator: the strategy.
        shortlist: what it chose, and reserves.
        chosen: the trials that the list led to.
        decided: the best by measured mAP among these and the samples; None when nothing was completed.
        costs: every term of the account.
    """

    estimator: str
    shortlist: Shortlist
    chosen: tuple[Evaluation, ...]
    decided: Evaluation | None
    costs: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "estimator": self.estimator,
            "latency_model": self.shortlist.latency_model,
            "chosen": [evaluation.as_row() for evaluation in self.chosen],
            "decided": self.decided.as_row() if self.decided else None,
            "costs": self.costs,
        }


def search_estimated(search: Search, options: EstimateOptions) -> tuple[list[Evaluation], Estimated]:
    """Shortlist candidates by an estimate, train the best of them, decide by measured mAP.

    The list is kept in MLflow: a search that was killed goes on with it, and the same call a second time
    trains nothing.

    Args:
        search: the study on its bench.
        options: of the estimate.

    Returns:
        Every evaluation of the study, and what became of the estimate.

    Raises:
        ConfigError: the strategy can't score candidates, or needs more trained samples.
        BoardError: two hardware failures in a row; RegistryError: MLflow does not answer.
    """
    name = options.strategy.name
    evaluations = search.resume()
    shortlist = _shortlist(search, options, evaluations)
    evaluations = search.train(shortlist.members, count=options.top_k, chosen_by=name)
    keys = [search.bench.space.key(member) for member in shortlist.members]
    chosen = trained_of(keys, evaluations, count=options.top_k)
    samples = _others(search.book.samples(), chosen)
    limit = search.bench.max_latency_ms
    decided = [one for one in (*samples, *chosen) if not _is_slower(one, limit)]
    costs = {
        **shortlist.costs,
        **spent_terms(samples, chosen),
        **found_terms(decided, search.bench.space.baseline),
        "seed_s": search.book.seed_seconds(),
        "selection_s": search.book.selection_seconds(),
    }
    _log_costs(search, name, costs)
    complete = [evaluation for evaluation in decided if evaluation.state == "complete"]
    best = max(complete, key=lambda one: one.metrics["map"], default=None)
    found = Estimated(estimator=name, shortlist=shortlist, chosen=tuple(chosen), decided=best, costs=costs)
    return evaluations, found


def account_full(search: Search) -> dict[str, float]:
    """Write down what the search without an estimate cost: its trials are those that no estimate chose."""
    trials = search.book.samples()
    spent = spent_terms(trials, ())
    costs = {
        "trainings": spent["trainings"],
        "trial_s": spent["trial_s"],
        "search_s": spent["samples_s"],
        "seed_s": search.book.seed_seconds(),
        **found_terms(trials, search.bench.space.baseline),
    }
    _log_costs(search, "full", costs)
    return costs


def _log_costs(search: Search, name: str, costs: dict[str, float]) -> None:
    search.book.note({"nas.trained_on": training_processor()})
    search.book.log_costs(name, costs)


def _shortlist(search: Search, options: EstimateOptions, evaluations: Sequence[Evaluation]) -> Shortlist:
    """The list that these options made in an earlier call, or a new one."""
    name, settings = options.strategy.name, options.digest(search.bench)
    kept = search.book.shortlist(name, settings=settings)
    if kept is not None:
        _log.warning("The candidates that %s chose earlier with these options are trained.", name)
        return Shortlist.from_json(kept)
    search.progress.step(f"score with {name}")
    made = make_shortlist(search.bench, options, evaluations, search.book.samples())
    search.book.keep_shortlist(name, made.as_json(), settings=settings)
    return made


def _others(samples: Sequence[Evaluation], chosen: Sequence[Evaluation]) -> list[Evaluation]:
    numbers = {evaluation.number for evaluation in chosen}
    return [evaluation for evaluation in samples if evaluation.number not in numbers]


def _is_slower(evaluation: Evaluation, limit_ms: float | None) -> bool:
    """Whether it misses the limit of this search; a sample may have been trained without one."""
    return limit_ms is not None and evaluation.metrics.get("latency_ms", 0.0) > limit_ms

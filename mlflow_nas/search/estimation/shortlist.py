"""The shortlist of candidates to train, by an estimate of their quality and by their costs."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import ArchitectureFeatures, Floats, Strategy, candidate_scores, compute_features
from mlflow_nas.search.estimation.candidates import combination, select_diverse_pareto
from mlflow_nas.search.estimation.inputs import scoring_inputs
from mlflow_nas.search.estimation.options import EstimateOptions
from mlflow_nas.search.estimation.pool import Pool, candidate_pool
from mlflow_nas.search.estimation.screening import Screening
from mlflow_nas.search.estimation.study import Context, Study, Supernet, quality
from mlflow_nas.types import Architecture

__all__ = ["Shortlist", "make_shortlist"]

_log = logging.getLogger(__name__)

RESERVE = 3
"""Length of the list as a multiple of `top_k`: some candidates miss a limit once they are measured."""


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """The candidates that an estimate selected, best first.

    Attributes:
        members: architectures.
        rows: score, counts and latency of each.
        costs: seconds and counts by name.
        latency_model: kind and error; empty when no latency was predicted.
    """

    members: tuple[Architecture, ...]
    rows: tuple[dict[str, float], ...] = ()
    costs: dict[str, float] = field(default_factory=dict)
    latency_model: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Shortlist":
        """The list read back from `as_json`."""
        return cls(**{**plain, "members": tuple(plain["members"]), "rows": tuple(plain["rows"])})


def make_shortlist(study: Study, options: EstimateOptions) -> Shortlist:
    """Score candidates within the limits and select the ones to train.

    Models are fitted on the trials that no estimate chose; architectures with a trial are no candidates.

    Raises:
        ConfigError: the strategy can't score candidates, needs more trained samples, or no candidate is
            within the limits.
        BoardError: the board failed.
    """
    context = study.context
    sample, target = _trained(study)
    _check(options.strategy, len(sample))
    supernet = study.supernet() if "supernet" in options.strategy.needs else None
    supernet_s = supernet.train_s if supernet else 0.0
    began = time.monotonic()
    screening = Screening(study)
    earlier_s = screening.seconds
    pool = candidate_pool(study, options, screening, without={one.key for one in study.results()})
    scoring = _Scoring(context, options.strategy, supernet)
    init_s, query_s, scores = scoring.run(pool.architectures, sample, target)
    selected = _selected(pool, scores, range(len(scores)), context, options)
    if supernet is not None:
        shipped = [supernet.score(pool.architectures[index], shipped=True).quality for index in selected]
        scores[selected] = shipped
        selected = _selected(pool, scores, selected, context, options)
    costs = {
        "samples": float(len(sample)),
        "candidates": float(len(pool.architectures)),
        "missing": float(np.isnan(scores).mean()),
        "init_s": init_s + supernet_s,
        "query_s": query_s,
        "latency_s": screening.seconds,
        "latency_known": float(len(screening.known)),
        "search_s": time.monotonic() - began + earlier_s + supernet_s,
    }
    model = pool.latency_model
    if model is not None:
        _log.warning("Latency of candidates: %s.", model.describe())
        costs |= {"latency_error": model.error, "latency_rmse_ms": model.rmse_ms, "latency_tau": model.tau}
    return Shortlist(
        members=tuple(pool.architectures[index] for index in selected),
        rows=tuple({"score": float(scores[index]), **pool.metrics[index]} for index in selected),
        costs=costs,
        latency_model=model.describe() if model else "",
    )


def _selected(
    pool: Pool, scores: Floats, among: Sequence[int], context: Context, options: EstimateOptions
) -> list[int]:
    """Indices of the candidates to train, best first, and reserves."""
    rows = list(among)
    places = select_diverse_pareto(
        np.column_stack([scores, *_costs_of(pool, context)])[rows],
        (True, *(objective.maximize for objective in context.objectives[1:])),
        [combination(context.space, pool.architectures[row]) for row in rows],
        count=RESERVE * options.top_k,
        max_per_combination=options.max_per_combination,
    )
    return [rows[place] for place in places]


def _trained(study: Study) -> tuple[list[Architecture], Floats]:
    """Architectures of the study that no estimate chose, and their measured quality [n]."""
    objective = study.context.objectives[0]
    known = [(one.architecture, quality(one, objective)) for one in study.sampled()]
    measured = [(architecture, value) for architecture, value in known if value is not None]
    return [one for one, _ in measured], np.array([value for _, value in measured], dtype=np.float64)


def _check(strategy: Strategy, samples: int) -> None:
    """Raises ConfigError before anything is computed."""
    if "epochs" in strategy.needs:
        raise ConfigError(
            f"The strategy {strategy.name} needs the first epochs of every candidate's training, which takes "
            "too long for thousands: use one without, such as macs, zen or bayesian_ridge."
        )
    if samples < strategy.min_samples:
        raise ConfigError(
            f"The strategy {strategy.name} needs {strategy.min_samples} trained samples, the study has "
            f"{samples}: train them with `mlflow_nas select --study STUDY` or `mlflow_nas search --estimator "
            f"full --sampler random --trials {strategy.min_samples}`, or use a strategy without samples, "
            "such as macs."
        )


def _costs_of(pool: Pool, context: Context) -> list[Floats]:
    """The objectives after the first, of all candidates.

    Raises:
        ConfigError: one is unknown before a training.
    """
    columns = {objective.name: pool.column(objective.name) for objective in context.objectives[1:]}
    for name, values in columns.items():
        if np.isnan(values).all():
            raise ConfigError(
                f"The objective {name} is unknown before a training: search without an estimator, or, when "
                "it is measured on the board, set search.latency=measure."
            )
    return list(columns.values())


@dataclass(frozen=True, slots=True)
class _Scoring:
    """Scores of candidates by one strategy, with a supernet where it needs one."""

    context: Context
    strategy: Strategy
    supernet: Supernet | None

    def run(
        self, candidates: Sequence[Architecture], sample: Sequence[Architecture], target: Floats
    ) -> tuple[float, float, Floats]:
        """Seconds of the fit, seconds per candidate, and the candidates' scores [m].

        The candidates themselves are the unlabelled pool that ranks refer to.
        """
        began = time.monotonic()
        features = self._features(candidates)
        computed = time.monotonic()
        fitted_on = self._features(sample) if self.strategy.fit is not None else features
        scores = candidate_scores(self.strategy, features, sample=fitted_on, target=target, pool=features)
        fitted_s = time.monotonic() - computed
        earlier_s = features.seconds.get(self.strategy.name, 0.0)  # a cached score takes no time now
        return fitted_s, max((computed - began) / len(candidates), earlier_s), scores

    def _features(self, architectures: Sequence[Architecture]) -> ArchitectureFeatures:
        order = list(range(len(architectures)))
        if self.supernet is not None:
            order = self.supernet.ordered(architectures)
        inputs = scoring_inputs(
            self.context, [architectures[index] for index in order], [self.strategy], supernet=self.supernet
        )
        return compute_features(inputs, [self.strategy]).take(np.argsort(order))

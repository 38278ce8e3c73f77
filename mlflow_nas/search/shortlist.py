"""From thousands of candidates to the few that are trained: an estimate of accuracy, and the latency."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import Facts, Floats, Strategy, candidate_scores, gather
from mlflow_nas.search.candidates import combination
from mlflow_nas.search.latencies import LatencyBook
from mlflow_nas.search.limits import EstimateOptions, candidates_within
from mlflow_nas.search.pick import pick_candidates
from mlflow_nas.search.probes import make_probes
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.types import Architecture, Evaluation

__all__ = ["Shortlist", "make_shortlist"]

_log = logging.getLogger(__name__)

RESERVE = 3
"""The list is so many times longer than what is trained: some miss the latency limit when measured."""


@dataclass(frozen=True, kw_only=True)
class Shortlist:
    """What an estimate chose, best first, and what that cost.

    Attributes:
        members: architectures.
        rows: for each its score, and its latency in ms as predicted or measured.
        costs: the terms of the search's account: seconds and counts by name.
        latency_model: in words; empty when every latency was measured.
    """

    members: tuple[Architecture, ...]
    rows: tuple[dict[str, float], ...] = ()
    costs: dict[str, float] = field(default_factory=dict)
    latency_model: str = ""

    def as_json(self) -> dict[str, Any]:
        """The list as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Shortlist":
        """The list read back."""
        return cls(
            members=tuple(plain["members"]),
            rows=tuple(plain["rows"]),
            costs=plain["costs"],
            latency_model=plain["latency_model"],
        )


def make_shortlist(
    bench: Workbench, options: EstimateOptions, trials: Sequence[Evaluation], samples: Sequence[Evaluation]
) -> Shortlist:
    """Score candidates within the limits and pick the ones to train.

    Args:
        bench: the study's.
        options: of the estimate.
        trials: every evaluation of the study; what is trained already is not picked again, and what has a
            latency is not measured again.
        samples: those trials that no estimate chose; a model learns from them.

    Raises:
        ConfigError: the strategy can't score candidates, needs more trained samples, or no candidate is
            within the limits.
        BoardError: the board failed.
    """
    began = time.monotonic()
    sample, target = _trained(samples)
    _check(options.strategy, len(sample))
    latencies = LatencyBook(bench, trials)
    earlier_s = latencies.seconds
    pool, model = candidates_within(bench, options, latencies, without={e.key for e in trials})
    init_s, query_s, scores = _score(bench, options.strategy, pool.architectures, sample, target)
    picked = pick_candidates(
        scores,
        pool.latency_ms,
        [combination(bench.space, architecture) for architecture in pool.architectures],
        count=RESERVE * options.top_k,
        per_combination=options.per_combination,
    )
    costs = {
        "samples": float(len(sample)),
        "candidates": float(len(pool.architectures)),
        "missing": float(np.isnan(scores).mean()),
        "init_s": init_s,
        "query_s": query_s,
        "latency_s": latencies.seconds,
        "latency_known": float(len(latencies.known)),
        "search_s": time.monotonic() - began + earlier_s,
    }
    if model is not None:
        _log.warning("Latency of candidates: %s.", model.describe())
        costs |= {"latency_error": model.error, "latency_rmse_ms": model.rmse_ms, "latency_tau": model.tau}
    return Shortlist(
        members=tuple(pool.architectures[index] for index in picked),
        rows=tuple(
            {"score": float(scores[index]), "latency_ms": float(pool.latency_ms[index])} for index in picked
        ),
        costs=costs,
        latency_model=model.describe() if model else "",
    )


def _trained(samples: Sequence[Evaluation]) -> tuple[list[Architecture], Floats]:
    """Trained architectures and their mAP [n]; of those that were trained twice the mean."""
    measured: dict[str, list[Evaluation]] = {}
    for evaluation in samples:
        if "map" in evaluation.metrics:
            measured.setdefault(evaluation.key, []).append(evaluation)
    target = [np.mean([one.metrics["map"] for one in same]) for same in measured.values()]
    return [same[0].architecture for same in measured.values()], np.asarray(target, dtype=np.float64)


def _check(strategy: Strategy, samples: int) -> None:
    """Raises ConfigError: before anything is paid for."""
    if "epochs" in strategy.needs:
        raise ConfigError(
            f"The strategy {strategy.name} needs the first epochs of every candidate's training: thousands "
            "can't be trained. Choose one that needs none, such as macs, zen or bayesian_ridge."
        )
    if samples < strategy.min_samples:
        raise ConfigError(
            f"The strategy {strategy.name} needs {strategy.min_samples} trained samples, the study has "
            f"{samples}: train them with `mlflow_nas select --study STUDY` or `mlflow_nas search --estimator "
            f"full --sampler random --trials {strategy.min_samples}`, or choose a strategy that needs none, "
            "such as macs."
        )


def _score(
    bench: Workbench,
    strategy: Strategy,
    candidates: Sequence[Architecture],
    sample: Sequence[Architecture],
    target: Floats,
) -> tuple[float, float, Floats]:
    """Seconds paid once, seconds per candidate, and the candidates' scores [m].

    The candidates themselves are the unlabelled pool that ranks refer to.
    """
    began = time.monotonic()
    facts = gather(make_probes(bench, candidates, [strategy]), [strategy])
    gathered = time.monotonic()
    known = _facts_of_sample(bench, strategy, sample) or facts
    scores = candidate_scores(strategy, facts, sample=known, target=target, pool=facts)
    return time.monotonic() - gathered, (gathered - began) / len(candidates), scores


def _facts_of_sample(bench: Workbench, strategy: Strategy, sample: Sequence[Architecture]) -> Facts | None:
    """What a model is fitted on; None for a strategy that is not fitted."""
    if strategy.fit is None:
        return None
    return gather(make_probes(bench, sample, [strategy]), [strategy])

"""How each strategy ranks architectures whose quality is measured: always out of sample."""

import time
from dataclasses import replace

import numpy as np

from mlflow_nas.estimate.contract import Fit, Floats, Strategy
from mlflow_nas.estimate.facts import Facts
from mlflow_nas.estimate.features import features_of, lacks, scores_behind
from mlflow_nas.estimate.predict import aggregated
from mlflow_nas.estimate.selection import (
    Evidence,
    informativeness,
    leave_pair_out,
    pairs_of,
    within_folds,
)

__all__ = ["evidence_of", "evidence_of_score", "query_s"]

PAIR_FITS = 1_000
"""More fits than this, and a model is judged within folds, however quick a fit is."""
SEED = 0
"""Of the folds: the same for all strategies and samples of one size."""


def evidence_of(strategy: Strategy, sample: Facts, target: Floats, *, pool: Facts) -> Evidence:
    """What one strategy says of the n sampled architectures.

    Args:
        strategy: any row of the table.
        sample: what is known of them.
        target: their measured quality [n].
        pool: unlabelled architectures that ranks refer to.

    Returns:
        The evidence; of a strategy that lacks something, the reason why it has none.
    """
    if (need := _need(strategy, sample)) is not None:
        return _absent(strategy, len(sample), need)
    if strategy.fit is not None:
        return _fitted(strategy, strategy.fit, sample, target, pool)
    if strategy.aggregate is not None:
        scores = aggregated(strategy, sample, pool=pool)
        return evidence_of_score(strategy.name, strategy.family, scores, query_s=query_s(strategy, sample))
    scores, spreads = sample.scores[strategy.name], sample.spreads.get(strategy.name)
    return replace(
        evidence_of_score(strategy.name, strategy.family, scores, query_s=query_s(strategy, sample)),
        informativeness=None if spreads is None else informativeness(scores, spreads, sample.seeds),
        sample_s=len(sample) * sample.seconds.get(strategy.name, 0.0),  # the epochs are paid for already
    )


def evidence_of_score(name: str, family: str, scores: Floats, *, query_s: float | None) -> Evidence:
    """What a score [n] that needs no fitting says: its plain ranking is out of sample already.

    Args:
        name: of the score.
        family: what kind of evidence it uses.
        scores: higher is better, NaN is missing.
        query_s: seconds per architecture; None when unknown.
    """
    return Evidence(
        name=name,
        family=family,
        pairs=pairs_of(scores),
        scores=scores,
        missing=float(np.isnan(scores).mean()),
        query_s=query_s,
    )


def query_s(strategy: Strategy, facts: Facts) -> float | None:
    """Seconds per candidate for the scores and epochs that the strategy needs; None when one is unknown."""
    seconds = [facts.seconds.get(name) for name in scores_behind(strategy, facts)]
    seconds += [facts.curve_s] if "epochs" in strategy.needs else []
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def _need(strategy: Strategy, sample: Facts) -> str | None:
    if len(sample) < strategy.min_samples:
        return f"needs {strategy.min_samples} samples, {len(sample)} are there"
    return lacks(strategy, sample)


def _absent(strategy: Strategy, n: int, reason: str) -> Evidence:
    nothing = np.full(n, np.nan)
    empty = evidence_of_score(strategy.name, strategy.family, nothing, query_s=None)
    return replace(empty, absent=reason)


def _fitted(strategy: Strategy, fit: Fit, sample: Facts, target: Floats, pool: Facts) -> Evidence:
    features = features_of(strategy, sample, sample=sample, pool=pool)
    start = time.perf_counter()
    predict = fit(features, target)
    fitted = time.perf_counter()
    predict(features)
    predict_s = (time.perf_counter() - fitted) / len(sample)
    pairwise = strategy.judged == "leave-pair-out" and len(sample) * (len(sample) - 1) / 2 <= PAIR_FITS
    if pairwise:
        pairs = leave_pair_out(features, target, fit)
    else:
        pairs = within_folds(features, target, fit, seed=SEED)
    needed_s = query_s(strategy, sample)
    return Evidence(
        name=strategy.name,
        family=strategy.family,
        pairs=pairs,
        scores=pairs.wins,
        basis="leave-pair-out" if pairwise else "within-folds",
        init_s=fitted - start,
        query_s=None if needed_s is None else needed_s + predict_s,
        sample_s=time.perf_counter() - start,
    )

"""Rankings of measured architectures by each strategy, always out of sample."""

import time
from dataclasses import replace
from functools import partial

import numpy as np

from mlflow_nas.estimate.contract import Fit, Floats, Strategy
from mlflow_nas.estimate.features import ArchitectureFeatures
from mlflow_nas.estimate.predict import aggregated, missing_input, model_inputs, required_scores
from mlflow_nas.estimate.selection import (
    Evidence,
    informativeness,
    leave_pair_out,
    pairs_of,
    within_folds,
)

__all__ = ["evidence_of", "evidence_of_score", "query_s"]

PAIR_FITS = 1_000
"""With more fits than this a model is evaluated within folds, however fast a fit is."""
SEED = 0
"""Of the folds, so that all strategies and samples of one size have the same."""


def evidence_of(
    strategy: Strategy, sample: ArchitectureFeatures, target: Floats, *, pool: ArchitectureFeatures
) -> Evidence:
    """Scores of the n sampled architectures by one strategy, with its costs.

    Args:
        strategy: any row of the table.
        sample: their features.
        target: their measured quality [n].
        pool: unlabelled architectures that ranks refer to.

    Returns:
        The evidence; `absent` holds the reason when the strategy can't be computed.
    """
    if (need := _need(strategy, sample)) is not None:
        return _absent(strategy, len(sample), need)
    if strategy.fit is not None:
        return _fitted(strategy, strategy.fit, sample, target, pool)
    if strategy.aggregate is not None:
        scores = aggregated(strategy, sample, pool=pool)
        return evidence_of_score(strategy.name, strategy.family, scores, query_s=query_s(strategy, sample))
    scores, spreads = sample.scores[strategy.name], sample.spreads.get(strategy.name)
    init_s = sample.supernet_s if "supernet" in strategy.needs else None
    scored_s = len(sample) * sample.seconds.get(strategy.name, 0.0)  # the epochs belong to the trainings
    return replace(
        evidence_of_score(strategy.name, strategy.family, scores, query_s=query_s(strategy, sample)),
        informativeness=None if spreads is None else informativeness(scores, spreads, sample.seeds),
        init_s=init_s,
        sample_s=(init_s or 0.0) + scored_s,
    )


def evidence_of_score(name: str, family: str, scores: Floats, *, query_s: float | None) -> Evidence:
    """Evidence of a score [n] without a fit: its ranking is out of sample as it is.

    Args:
        name: of the score.
        family: the strategy's.
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


def query_s(strategy: Strategy, features: ArchitectureFeatures) -> float | None:
    """Seconds per candidate of the scores and epochs that the strategy needs; None when one is unknown."""
    seconds = [features.seconds.get(name) for name in required_scores(strategy, features)]
    seconds += [features.curve_s] if "epochs" in strategy.needs else []
    known = [value for value in seconds if value is not None]
    return sum(known) if len(known) == len(seconds) else None


def _need(strategy: Strategy, sample: ArchitectureFeatures) -> str | None:
    if len(sample) < strategy.min_samples:
        return f"needs {strategy.min_samples} samples, there are {len(sample)}"
    return missing_input(strategy, sample)


def _absent(strategy: Strategy, n: int, reason: str) -> Evidence:
    missing = evidence_of_score(strategy.name, strategy.family, np.full(n, np.nan), query_s=None)
    return replace(missing, absent=reason)


def _fitted(
    strategy: Strategy, fit: Fit, sample: ArchitectureFeatures, target: Floats, pool: ArchitectureFeatures
) -> Evidence:
    inputs = model_inputs(strategy, sample, sample=sample, pool=pool)
    start = time.perf_counter()
    predict = fit(inputs, target)
    fitted = time.perf_counter()
    predict(inputs)
    predict_s = (time.perf_counter() - fitted) / len(sample)
    pairwise = strategy.crossfit == "leave-pair-out" and len(sample) * (len(sample) - 1) / 2 <= PAIR_FITS
    judge = leave_pair_out if pairwise else partial(within_folds, seed=SEED)
    pairs = judge(inputs, target, fit)
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

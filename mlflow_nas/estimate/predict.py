"""A strategy's scores of candidates that nobody trained."""

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import Floats, Strategy
from mlflow_nas.estimate.facts import Facts
from mlflow_nas.estimate.features import features_of, lacks

__all__ = ["aggregated", "candidate_scores"]


def candidate_scores(
    strategy: Strategy, candidates: Facts, *, sample: Facts, target: Floats, pool: Facts
) -> Floats:
    """How a strategy ranks candidates, after it has seen all of the trained sample.

    Args:
        strategy: any row of the table.
        candidates: what is known of the m architectures to score.
        sample: what is known of the n trained ones, by the same strategies; only a strategy with `fit`
            looks at it.
        target: the measured quality of the sample [n].
        pool: unlabelled architectures that ranks refer to, the same as when the strategy was chosen.

    Returns:
        [m], higher is better; NaN where the score failed.

    Raises:
        ConfigError: the strategy needs what is not known of the candidates, or more samples.
    """
    need = lacks(strategy, candidates)
    if len(target) < strategy.min_samples:
        need = f"needs {strategy.min_samples} trained architectures, {len(target)} are there"
    if need is not None:
        raise ConfigError(f"The strategy {strategy.name} {need}: give it that, or choose another one.")
    if strategy.aggregate is not None:
        return aggregated(strategy, candidates, pool=pool)
    if strategy.fit is None:
        return candidates.scores[strategy.name]
    predict = strategy.fit(features_of(strategy, sample, sample=sample, pool=pool), target)
    return predict(features_of(strategy, candidates, sample=sample, pool=pool))


def aggregated(strategy: Strategy, facts: Facts, *, pool: Facts) -> Floats:
    """The scores [n] of a strategy with `aggregate`; missing where every part is."""
    names = tuple(part.name for part in strategy.parts)
    parts = facts.columns(names)
    if strategy.aggregate is None:
        raise ConfigError(f"The strategy {strategy.name} aggregates nothing.")
    scores = strategy.aggregate(parts, pool.columns(names))
    return np.where(np.isnan(parts).all(axis=1), np.nan, scores)

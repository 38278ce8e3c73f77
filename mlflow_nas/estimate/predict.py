"""Scores of architectures by a fitted or aggregated strategy.

Shapes: n architectures to score, f features of the strategy's model.
"""

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.contract import FeatureSet, Floats, Strategy
from mlflow_nas.estimate.features import ArchitectureFeatures
from mlflow_nas.estimate.models.ranks import pool_ranks

__all__ = ["aggregated", "candidate_scores", "missing_input", "model_inputs", "required_scores"]


def candidate_scores(
    strategy: Strategy,
    candidates: ArchitectureFeatures,
    *,
    sample: ArchitectureFeatures,
    target: Floats,
    pool: ArchitectureFeatures,
) -> Floats:
    """Scores of untrained candidates by a strategy that was fitted on the whole trained sample.

    Args:
        strategy: any row of the table.
        candidates: features of the n architectures to score.
        sample: the same features of the trained architectures; used by strategies with `fit` only.
        target: measured quality of the sample.
        pool: unlabelled architectures that ranks refer to, the same as when the strategy was selected.

    Returns:
        [n], higher is better; NaN where the score failed.

    Raises:
        ConfigError: the strategy needs features that the candidates lack, or more samples.
    """
    need = missing_input(strategy, candidates)
    if len(target) < strategy.min_samples:
        need = f"needs {strategy.min_samples} trained architectures, there are {len(target)}"
    if need is not None:
        raise ConfigError(f"The strategy {strategy.name} {need}: provide them, or use another strategy.")
    if strategy.aggregate is not None:
        return aggregated(strategy, candidates, pool=pool)
    if strategy.fit is None:
        return candidates.scores[strategy.name]
    predict = strategy.fit(model_inputs(strategy, sample, sample=sample, pool=pool), target)
    return predict(model_inputs(strategy, candidates, sample=sample, pool=pool))


def aggregated(strategy: Strategy, features: ArchitectureFeatures, *, pool: ArchitectureFeatures) -> Floats:
    """Scores [n] of a strategy with `aggregate`; NaN where every part is missing."""
    names = tuple(part.name for part in strategy.parts)
    parts = features.columns(names)
    if strategy.aggregate is None:
        raise ConfigError(f"The strategy {strategy.name} aggregates nothing.")
    scores = strategy.aggregate(parts, pool.columns(names))
    return np.where(np.isnan(parts).all(axis=1), np.nan, scores)


def required_scores(strategy: Strategy, features: ArchitectureFeatures) -> tuple[str, ...]:
    """Names of the scores of a candidate that the strategy is computed from."""
    if strategy.score or strategy.curve or strategy.one_shot:
        return (strategy.name,)
    ranked = features.zero_cost if "zero-cost" in strategy.features else ()
    return (*ranked, *(part.name for part in strategy.parts))


def missing_input(strategy: Strategy, features: ArchitectureFeatures) -> str | None:
    """The missing features of the strategy, as "needs ..."; None when they are complete."""
    empty = {
        "encoding": features.encoding.shape[1] == 0,
        "zero-cost": len(features.zero_cost) < 2,  # a model of one score ranks as that score does
        "curve": features.curve.shape[1] == 0,
    }
    for kind in strategy.features:
        if empty.get(kind):
            return f"needs {kind} features"
    missing = [name for name in required_scores(strategy, features) if name not in features.scores]
    return f"needs the scores {', '.join(missing)}" if missing else None


def model_inputs(
    strategy: Strategy,
    features: ArchitectureFeatures,
    *,
    sample: ArchitectureFeatures,
    pool: ArchitectureFeatures,
) -> Floats:
    """Inputs [n, f] of the strategy's model.

    Args:
        strategy: a row with `fit`.
        features: of the n architectures.
        sample: of the architectures that the model is fitted on.
        pool: of unlabelled architectures; zero-cost scores enter as ranks among theirs.
    """
    return np.concatenate(
        [_block(kind, strategy, features, sample, pool) for kind in strategy.features], axis=1
    )


def _block(
    kind: FeatureSet,
    strategy: Strategy,
    features: ArchitectureFeatures,
    sample: ArchitectureFeatures,
    pool: ArchitectureFeatures,
) -> Floats:
    match kind:
        case "encoding":
            return features.encoding
        case "complexity":
            return features.complexity
        case "zero-cost":
            return pool_ranks(features.columns(features.zero_cost), pool.columns(features.zero_cost))
        case "curve":
            return _imputed(features.curve, sample.curve)
        case "parts":
            names = tuple(part.name for part in strategy.parts)
            return _imputed(features.columns(names), sample.columns(names))


def _imputed(values: Floats, sample: Floats) -> Floats:
    """Missing values replaced by the worst of the sample, so that a model ranks them last, too."""
    worst = np.where(np.isnan(sample).all(axis=0), 0.0, np.nanmin(np.nan_to_num(sample, nan=np.inf), axis=0))
    return np.where(np.isnan(values), worst, values)

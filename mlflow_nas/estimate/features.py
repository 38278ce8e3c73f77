"""What a fitted or aggregated strategy sees of architectures, and what it lacks."""

import numpy as np

from mlflow_nas.estimate.contract import Features, Floats, Strategy
from mlflow_nas.estimate.facts import Facts
from mlflow_nas.estimate.ranks import pool_ranks

__all__ = ["features_of", "lacks", "scores_behind"]


def scores_behind(strategy: Strategy, facts: Facts) -> tuple[str, ...]:
    """The scores that one candidate needs before the strategy can say anything of it."""
    if strategy.score or strategy.curve:
        return (strategy.name,)
    ranked = facts.zero_cost if "zero-cost" in strategy.features else ()
    return (*ranked, *(part.name for part in strategy.parts))


def lacks(strategy: Strategy, facts: Facts) -> str | None:
    """What the strategy needs and nobody knows of these architectures; None when nothing."""
    empty = {
        "encoding": facts.encoding.shape[1] == 0,
        "zero-cost": len(facts.zero_cost) < 2,  # a model of one score is that score
        "curve": facts.curve.shape[1] == 0,
    }
    for kind in strategy.features:
        if empty.get(kind):
            return f"needs {kind} features"
    missing = [name for name in scores_behind(strategy, facts) if name not in facts.scores]
    return f"needs the scores {', '.join(missing)}" if missing else None


def features_of(strategy: Strategy, facts: Facts, *, sample: Facts, pool: Facts) -> Floats:
    """The features [n, f] that the strategy's model sees.

    Args:
        strategy: a row with `fit`.
        facts: of the architectures to describe.
        sample: of the architectures that the model is fitted on.
        pool: of unlabelled architectures; zero-cost scores are seen as ranks among theirs.
    """
    blocks = [_block(kind, strategy, facts, sample, pool) for kind in strategy.features]
    return np.concatenate(blocks, axis=1)


def _block(kind: Features, strategy: Strategy, facts: Facts, sample: Facts, pool: Facts) -> Floats:
    match kind:
        case "encoding":
            return facts.encoding
        case "complexity":
            return facts.complexity
        case "zero-cost":
            return pool_ranks(facts.columns(facts.zero_cost), pool.columns(facts.zero_cost))
        case "curve":
            return _known(facts.curve, sample.curve)
        case "parts":
            names = tuple(part.name for part in strategy.parts)
            return _known(facts.columns(names), sample.columns(names))


def _known(values: Floats, sample: Floats) -> Floats:
    """Missing values as the worst of the sample, so that a model ranks them last, too."""
    worst = np.where(np.isnan(sample).all(axis=0), 0.0, np.nanmin(np.nan_to_num(sample, nan=np.inf), axis=0))
    return np.where(np.isnan(values), worst, values)

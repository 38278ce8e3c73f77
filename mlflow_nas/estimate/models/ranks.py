"""Aggregation of several scores by rank within a fixed pool.

Shapes: n architectures to score, m of the pool, p parts; NaN is a missing part and ranks last.
"""

import numpy as np

from mlflow_nas.estimate.contract import Floats

__all__ = ["log_rank_sum", "mean_rank", "pool_ranks"]


def pool_ranks(parts: Floats, pool: Floats) -> Floats:
    """Share of the pool that each part is at least as high as.

    Args:
        parts: [n, p].
        pool: [m, p], the same parts of the fixed pool.

    Returns:
        [n, p]: 1 for the best of the pool; half of 1/m for a value below all of it.

    Raises:
        ValueError: the pool is empty.
    """
    if not len(pool):
        raise ValueError("ranks need a pool of at least one architecture")
    known, given = (np.where(np.isnan(values), -np.inf, values) for values in (pool, parts))
    columns = [np.searchsorted(np.sort(known[:, p]), given[:, p], side="right") for p in range(pool.shape[1])]
    return np.maximum(np.stack(columns, axis=1), 0.5) / len(pool)


def log_rank_sum(parts: Floats, pool: Floats) -> Floats:
    """Sum over parts of log(rank / m), as AZ-NAS aggregates (arXiv:2403.19232): [n], at most 0."""
    total: Floats = np.log(np.minimum(pool_ranks(parts, pool), 1)).sum(axis=1)
    return total


def mean_rank(parts: Floats, pool: Floats) -> Floats:
    """Mean over parts of rank / m (Borda's count): [n], at most 1.

    Abdelfattah et al. (arXiv:2101.08134) take each pair's majority; the mean gives a single architecture a
    score, and nearly all pairs have the order of the majority.
    """
    mean: Floats = np.minimum(pool_ranks(parts, pool), 1).mean(axis=1)
    return mean

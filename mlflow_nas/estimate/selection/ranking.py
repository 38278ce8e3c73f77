"""Agreement of a ranking with the measured one. n architectures; NaN is missing and ranks last, tied."""

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

__all__ = [
    "Floats",
    "Pairs",
    "minimum_keeping_ratio",
    "pairs_of",
    "precision_at",
    "ranks",
    "regret_at",
    "spearman",
    "tau_b",
]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pairs:
    """A ranking as signs of pairs of architectures.

    Attributes:
        sign: [n, n] in -1..1, positive where i is ranked above j; the mean when a pair was ranked repeatedly.
        untied: [n, n] in 0..1, share of the rankings in which the pair is not tied; the diagonal is 0.
    """

    sign: Floats
    untied: Floats

    @property
    def constant(self) -> bool:
        """Whether all pairs are tied; tau-b is then undefined and set to 0."""
        return not self.untied.any()

    @property
    def wins(self) -> Floats:
        """[n]: pairs won minus pairs lost, the ranking by Copeland's method."""
        return np.asarray(self.sign.sum(axis=1), dtype=np.float64)


def ranks(values: Floats) -> Floats:
    """Average ranks [n], the highest value has the highest rank; missing values rank last, tied."""
    return np.asarray(rankdata(np.where(np.isnan(values), -np.inf, values)), dtype=np.float64)


def pairs_of(values: Floats) -> Pairs:
    """The pairs of a vector of scores or targets [n]."""
    rank = ranks(values)
    sign = np.sign(rank[:, None] - rank[None, :])
    return Pairs(sign, np.abs(sign))


def tau_b(first: Pairs, second: Pairs) -> float:
    """Kendall's tau-b (doi:10.2307/2332303); 0 where it is undefined because one side is constant."""
    untied = float(first.untied.sum() * second.untied.sum())
    return float((first.sign * second.sign).sum()) / math.sqrt(untied) if untied else 0.0


def spearman(scores: Floats, target: Floats) -> float:
    """Spearman's rho: Pearson's correlation of average ranks; 0 for a constant."""
    x, y = ranks(scores), ranks(target)
    x, y = x - x.mean(), y - y.mean()
    norm = math.sqrt(float((x @ x) * (y @ y)))
    return float(x @ y) / norm if norm else 0.0


def precision_at(k: int, scores: Floats, target: Floats) -> float:
    """Share of the k best by score among the k best by target; ties at the border count proportionally."""
    return float(_among_best(k, scores) @ _among_best(k, target)) / k


def _among_best(k: int, values: Floats) -> Floats:
    """Probability [n] of being among the k best when ties are broken at random."""
    rank = ranks(values)
    border = np.sort(rank)[-k]
    above, tied = rank > border, rank == border
    return np.where(above, 1.0, np.where(tied, (k - above.sum()) / tied.sum(), 0.0))


def regret_at(k: int, scores: Floats, target: Floats) -> float:
    """Best target of all minus best target of the k best by score; among ties the worst are taken."""
    order = np.lexsort((target, -ranks(scores)))
    return float(target.max() - target[order[:k]].max())


def minimum_keeping_ratio(scores: Floats, target: Floats) -> float:
    """Smallest share of the ranking that contains the best by target (Zheng et al., TPAMI 2025)."""
    rank = ranks(scores)
    return float((rank >= rank[int(np.argmax(target))]).mean())

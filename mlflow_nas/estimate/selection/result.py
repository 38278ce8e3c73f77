"""Results of a selection: per strategy, and of the choice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from mlflow_nas.estimate.selection.ranking import Floats, Pairs
from mlflow_nas.estimate.selection.winner import Noise

__all__ = ["Basis", "Evidence", "Interval", "SelectionResult", "StrategyResult"]

Basis: TypeAlias = Literal["score", "leave-pair-out", "within-folds"]
Interval: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Scores of a strategy on the n sampled architectures, with its costs.

    Attributes:
        name: of the strategy.
        family: of the strategy.
        pairs: its ranking, out of sample.
        scores: [n], higher is better, NaN is missing; of a fitted model the pairs that each architecture won.
        basis: score without a fit, else the kind of cross-validation.
        missing: share of the architectures without a score.
        informativeness: share of the scores' variance that is not between weight seeds; None when unknown.
        init_s: seconds of the fit; None when unknown.
        query_s: seconds per candidate; None when unknown.
        sample_s: seconds that scoring the sample took, all fits included; None when unknown.
        absent: why it has no scores; None when it has.
    """

    name: str
    family: str
    pairs: Pairs
    scores: Floats
    basis: Basis = "score"
    missing: float = 0.0
    informativeness: float | None = None
    init_s: float | None = None
    query_s: float | None = None
    sample_s: float | None = None
    absent: str | None = None

    def cost_s(self, candidates: int) -> float | None:
        """Seconds for scoring a number of candidates; None when unknown."""
        if self.query_s is None:
            return None
        return (self.init_s or 0.0) + candidates * self.query_s


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyResult:
    """One strategy on the sample.

    Attributes:
        name: of the strategy.
        family: of the strategy.
        basis: score, leave-pair-out or within-folds.
        tau: tau-b with the measured target.
        ci: 95 % percentile interval; approximate for fitted models, as the fits are not repeated.
        tau_bbc: mean tau-b on the out-of-bag pairs of the bootstrap.
        spearman: rank correlation.
        sparse_tau: tau-b after rounding the target to the noise of training.
        precision_at_k: share of the k best by score that are among the k best.
        regret_at_k: best target minus best target among the k best by score.
        keeping_ratio: smallest share of the ranking that contains the best.
        missing: share of the architectures without a score.
        informativeness: share of the scores' variance that is not between weight seeds; None when unknown.
        constant: all pairs are tied, tau is 0 by definition.
        seconds: per candidate; None when unknown.
        init_s: seconds of the fit; None when unknown.
        sample_s: seconds that scoring the sample took; None when unknown.
        p_value: of tau > 0, Holm-corrected over the strategies, one-sided.
        p_value_flops: of tau > tau of the FLOPs; None without FLOPs, and for FLOPs.
        probability_best: share of the bootstrap draws that it wins among the eligible; 0 when not eligible.
        indistinguishable: whether the interval of its difference to the winner contains 0.
        tau_to_winner: tau-b with the winner's ranking; None without a winner.
        excluded: why it is not eligible; None when it is.
    """

    name: str
    family: str
    basis: Basis
    tau: float
    ci: Interval
    tau_bbc: float
    spearman: float
    sparse_tau: float
    precision_at_k: float
    regret_at_k: float
    keeping_ratio: float
    missing: float
    informativeness: float | None
    constant: bool
    seconds: float | None
    init_s: float | None
    sample_s: float | None
    p_value: float
    p_value_flops: float | None
    probability_best: float
    indistinguishable: bool
    tau_to_winner: float | None
    excluded: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionResult:
    """The result of a selection.

    Attributes:
        selected: the strategy; None when the evidence is not sufficient.
        winner: the strategy with the largest tau-b among the eligible, or a cheaper one that is
            indistinguishable from it; None when none is eligible.
        reason: the decision in one sentence.
        fallback: strategies to use when none is selected: the FLOPs and the winner, or none (train).
        tau: of the winner on the sample, biased upwards by the winner's curse.
        tau_ci: its 95 % interval.
        tau_bbc: tau of the selection, bootstrap bias corrected.
        tau_bbc_ci: the winner's interval, shifted by the same bias.
        indistinguishable: the eligible strategies that are indistinguishable from the winner, it included.
        strategies: all of them, best first.
        samples: number of architectures.
        k: of precision and regret.
        draws: of the bootstrap.
        sparse_step: step to which the target was rounded for the sparse tau.
        noise: of training, from architectures that were trained twice; None without.
    """

    selected: str | None
    winner: str | None
    reason: str
    fallback: tuple[str, ...]
    tau: float
    tau_ci: Interval
    tau_bbc: float
    tau_bbc_ci: Interval
    indistinguishable: tuple[str, ...]
    strategies: Sequence[StrategyResult]
    samples: int
    k: int
    draws: int
    sparse_step: float
    noise: Noise | None

    def as_json(self) -> dict[str, object]:
        """The result as plain JSON values; NaN is null."""
        plain = asdict(self)
        plain["noise"] = self.noise._asdict() if self.noise else None
        plain["noise_ceiling"] = self.noise.ceiling if self.noise else None
        return {name: _plain(value) for name, value in plain.items()}


def _plain(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value

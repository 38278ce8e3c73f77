"""The selection of a strategy: evidence on n trained architectures in, one strategy or none out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate.selection.bootstrap import draw_weights, interval, out_of_bag, weighted_tau_b
from mlflow_nas.estimate.selection.decide import FLOPS, Limits, exclusion, pick, refusal
from mlflow_nas.estimate.selection.ranking import (
    Floats,
    Pairs,
    minimum_keeping_ratio,
    pairs_of,
    precision_at,
    regret_at,
    spearman,
    tau_b,
)
from mlflow_nas.estimate.selection.result import Evidence, Interval, SelectionResult, StrategyResult
from mlflow_nas.estimate.selection.winner import (
    Noise,
    corrected_tau,
    holm,
    indistinguishable,
    one_sided_p,
    probability_best,
)

__all__ = ["MIN_SAMPLES", "select_strategy"]

MIN_SAMPLES = 8
DRAWS = 10_000
ROUNDED_SHARE = 0.1
"""Without architectures trained twice, the sparse tau rounds to this share of the target's deviation."""


class _Draws(NamedTuple):
    """tau-b [B, s] of every strategy on the in-bag and on the out-of-bag pairs of each draw."""

    in_bag: Floats
    out_of_bag: Floats


class _Choice(NamedTuple):
    """The winner among the eligible; indices into the evidence."""

    winner: int
    eligible: list[int]
    tau_bbc: float
    tau_bbc_ci: Interval


def select_strategy(
    evidence: Sequence[Evidence],
    target: Floats,
    *,
    noise: Noise | None = None,
    limits: Limits | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> SelectionResult:
    """Select the strategy for a search, or none.

    Args:
        evidence: of each strategy on the n architectures, out of sample.
        target: their measured quality [n], higher is better, without gaps.
        noise: of training, when architectures were trained twice.
        limits: for a strategy to be eligible.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ConfigError: fewer than 8 architectures, all of one quality, or no strategy.
    """
    _check(evidence, target)
    limits = limits or Limits()
    truth = pairs_of(target)
    weights = draw_weights(len(target), draws, seed=seed)
    pairs = [item.pairs for item in evidence]
    taus = np.array([tau_b(item, truth) for item in pairs])
    sampled = _Draws(weighted_tau_b(pairs, truth, weights), weighted_tau_b(pairs, truth, out_of_bag(weights)))
    excluded = [exclusion(item, limits) for item in evidence]
    choice = _choose(evidence, taus, sampled, excluded, limits)
    step = noise.deviation if noise and noise.deviation > 0 else ROUNDED_SHARE * float(target.std())
    rows = _rows(evidence, target, taus, sampled, excluded, sparse_step=step)
    if choice is not None:
        rows = _compared(rows, sampled, choice, pairs)
    return _concluded(rows, choice, noise, limits, step=step, samples=len(target), draws=draws)


def _check(evidence: Sequence[Evidence], target: Floats) -> None:
    if not evidence:
        raise ConfigError("There is no strategy to select from: provide scores, or features for models.")
    if len(target) < MIN_SAMPLES:
        raise ConfigError(
            f"A selection needs at least {MIN_SAMPLES} architectures with a measured target, there are "
            f"{len(target)}: measure more, 40 are usual."
        )
    if np.isnan(target).any() or pairs_of(target).constant:
        raise ConfigError(
            f"The target of the {len(target)} architectures has missing values or is constant: "
            "rankings can't be compared with it. Leave these architectures out, or measure more."
        )


def _choose(
    evidence: Sequence[Evidence],
    taus: Floats,
    draws: _Draws,
    excluded: Sequence[str | None],
    limits: Limits,
) -> _Choice | None:
    eligible = [index for index, reason in enumerate(excluded) if reason is None]
    if not eligible:
        return None
    in_bag = draws.in_bag[:, eligible]
    position = pick([evidence[i] for i in eligible], taus[eligible], in_bag, candidates=limits.candidates)
    winner = eligible[position]
    corrected = corrected_tau(in_bag, draws.out_of_bag[:, eligible])
    low, high = interval(draws.in_bag[:, winner])
    bias = float(taus[winner]) - corrected
    return _Choice(winner, eligible, corrected, (max(low - bias, -1.0), min(high - bias, 1.0)))


def _rows(
    evidence: Sequence[Evidence],
    target: Floats,
    taus: Floats,
    draws: _Draws,
    excluded: Sequence[str | None],
    *,
    sparse_step: float,
) -> list[StrategyResult]:
    k = max(len(target) // 4, 1)
    rounded = pairs_of(np.round(target / sparse_step))
    p_values = _corrected(one_sided_p(draws.in_bag), [item.absent is None for item in evidence])
    against_flops = _against_flops(evidence, draws.in_bag)
    return [
        StrategyResult(
            name=item.name,
            family=item.family,
            basis=item.basis,
            tau=float(taus[index]),
            ci=interval(draws.in_bag[:, index]),
            tau_bbc=float(np.nanmean(draws.out_of_bag[:, index])),
            spearman=spearman(item.scores, target),
            sparse_tau=tau_b(item.pairs, rounded),
            precision_at_k=precision_at(k, item.scores, target),
            regret_at_k=regret_at(k, item.scores, target),
            keeping_ratio=minimum_keeping_ratio(item.scores, target),
            missing=item.missing,
            informativeness=item.informativeness,
            constant=item.pairs.constant,
            seconds=item.query_s,
            init_s=item.init_s,
            sample_s=item.sample_s,
            p_value=float(p_values[index]),
            p_value_flops=against_flops.get(index),
            probability_best=0.0,
            indistinguishable=False,
            tau_to_winner=None,
            excluded=excluded[index],
        )
        for index, item in enumerate(evidence)
    ]


def _corrected(p_values: Floats, scored: Sequence[bool]) -> Floats:
    """Holm's correction over the strategies with scores; 1 for the others."""
    corrected = np.ones(len(p_values))
    corrected[np.flatnonzero(scored)] = holm(p_values[np.flatnonzero(scored)])
    return corrected


def _against_flops(evidence: Sequence[Evidence], in_bag: Floats) -> dict[int, float]:
    """Holm-corrected p-values of being better than the FLOPs, by index; empty without FLOPs."""
    flops = next((i for i, item in enumerate(evidence) if item.name in FLOPS), None)
    others = [index for index, item in enumerate(evidence) if index != flops and item.absent is None]
    if flops is None or not others:
        return {}
    corrected = holm(one_sided_p(in_bag[:, others] - in_bag[:, [flops]]))
    return dict(zip(others, corrected.tolist(), strict=True))


def _compared(
    rows: Sequence[StrategyResult], draws: _Draws, choice: _Choice, pairs: Sequence[Pairs]
) -> list[StrategyResult]:
    """The rows with the columns that compare a strategy with the winner."""
    in_bag = draws.in_bag[:, choice.eligible]
    probabilities = dict(zip(choice.eligible, probability_best(in_bag).tolist(), strict=True))
    same = indistinguishable(in_bag, choice.eligible.index(choice.winner))
    tied = {index for index, flag in zip(choice.eligible, same, strict=True) if flag}
    return [
        replace(
            row,
            probability_best=probabilities.get(index, 0.0),
            indistinguishable=index in tied,
            tau_to_winner=tau_b(pairs[index], pairs[choice.winner]),
        )
        for index, row in enumerate(rows)
    ]


def _concluded(
    rows: Sequence[StrategyResult],
    choice: _Choice | None,
    noise: Noise | None,
    limits: Limits,
    *,
    step: float,
    samples: int,
    draws: int,
) -> SelectionResult:
    winner = rows[choice.winner] if choice else None
    doubt = refusal(choice.tau_bbc_ci, noise, limits) if choice else "no strategy is eligible"
    flops = next((row.name for row in rows if row.name in FLOPS and row.excluded is None), None)
    either = tuple(dict.fromkeys(name for name in (flops, winner.name if winner else None) if name))
    nan = float("nan")
    return SelectionResult(
        selected=winner.name if winner and doubt is None else None,
        winner=winner.name if winner else None,
        reason=_sentence(winner, choice, doubt),
        fallback=either if doubt else (),
        tau=winner.tau if winner else nan,
        tau_ci=winner.ci if winner else (nan, nan),
        tau_bbc=choice.tau_bbc if choice else nan,
        tau_bbc_ci=choice.tau_bbc_ci if choice else (nan, nan),
        indistinguishable=tuple(row.name for row in rows if row.indistinguishable),
        strategies=sorted(rows, key=lambda row: (row.excluded is not None, -row.tau)),
        samples=samples,
        k=max(samples // 4, 1),
        draws=draws,
        sparse_step=step,
        noise=noise,
    )


def _sentence(winner: StrategyResult | None, choice: _Choice | None, doubt: str | None) -> str:
    if doubt or winner is None or choice is None:
        return f"not enough evidence, train instead: {doubt}"
    return (
        f"{winner.name}: tau {winner.tau:.2f} on the sample, {choice.tau_bbc:.2f} corrected for the selection"
    )

"""Facts of made-up architectures: what every row makes of them, and what it says when it can't."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import (
    STRATEGIES,
    Facts,
    Strategy,
    candidate_scores,
    evidence_of,
    single_strategies,
    strategy_named,
)
from mlflow_nas.estimate.gather import ZERO_COST
from mlflow_nas.estimate.regressors import fit_bayesian_ridge
from mlflow_nas.estimate.selection import Floats, pairs_of, tau_b

N, M = 30, 12
SINGLE = [row.name for row in single_strategies(STRATEGIES)]
FITTED = [row for row in STRATEGIES if row.fit]
TOGETHER = [row for row in STRATEGIES if row.fit or row.aggregate]
every_row = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda row: row.name)
every_together = pytest.mark.parametrize("strategy", TOGETHER, ids=lambda row: row.name)


def _facts(n: int, seed: int) -> tuple[Facts, Floats]:
    """Architectures of which everything known follows their quality, with noise."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)

    def noisy() -> Floats:
        return np.asarray(quality + rng.normal(0, 0.3, n))

    facts = Facts(
        encoding=np.stack([noisy(), noisy()], axis=1),
        complexity=np.stack([noisy(), noisy()], axis=1),
        scores={name: noisy() for name in SINGLE},
        zero_cost=tuple(row.name for row in ZERO_COST),
        curve=np.stack([noisy() for _ in range(4)], axis=1),
        spreads={name: np.full(n, 0.1) for name in SINGLE},
        seeds=3,
        seconds=dict.fromkeys(SINGLE, 0.5),
        curve_s=60.0,
    )
    return facts, quality


SAMPLE, TARGET = _facts(N, 0)
CANDIDATES, TRUTH = _facts(M, 1)


def test_the_table_has_thirty_rows_of_one_kind_each() -> None:
    """24 strategies and six hybrids; every row has exactly one function, and hybrids name what they see."""
    assert len(STRATEGIES) == len({row.name for row in STRATEGIES}) == 30
    for row in STRATEGIES:
        assert sum(part is not None for part in (row.score, row.curve, row.fit, row.aggregate)) == 1, row.name
        assert bool(row.features) == (row.fit is not None)
        assert (row.min_samples > 0) == (row.fit is not None)


@every_row
def test_every_row_says_something_of_the_sample(strategy: Strategy) -> None:
    """Scores that follow the quality rank it, out of sample, with a cost per candidate."""
    if strategy.judged == "within-folds":
        strategy = replace(strategy, fit=fit_bayesian_ridge)  # the models are tested elsewhere
    found = evidence_of(strategy, SAMPLE, TARGET, pool=SAMPLE)
    assert (found.absent, found.missing) == (None, 0.0)
    assert tau_b(found.pairs, pairs_of(TARGET)) > 0.4
    assert found.query_s is not None
    assert (found.query_s >= 60.0) == ("epochs" in strategy.needs)
    assert (found.basis == "score") == (strategy.fit is None)


@every_row
def test_every_row_scores_candidates(strategy: Strategy) -> None:
    """The function of the search: one number per candidate, repeatable, in the order of their quality."""
    first, second = (
        candidate_scores(strategy, CANDIDATES, sample=SAMPLE, target=TARGET, pool=SAMPLE) for _ in range(2)
    )
    assert first.tolist() == second.tolist()
    assert first.shape == (M,)
    assert tau_b(pairs_of(first), pairs_of(TRUTH)) > 0.3


@every_together
def test_a_missing_score_is_ranked_last_and_makes_no_number(strategy: Strategy) -> None:
    """A candidate without any score is never preferred to the best one by what is missing."""
    gone: Mapping[str, Floats] = {name: np.where(np.arange(M) == 3, np.nan, v) for name, v in _all(M).items()}
    worst = replace(CANDIDATES, scores=gone)
    scores = candidate_scores(strategy, worst, sample=SAMPLE, target=TARGET, pool=SAMPLE)
    assert np.isfinite(np.delete(scores, 3)).all()
    if strategy.aggregate is not None:
        assert np.isnan(scores[3])


def _all(n: int) -> Mapping[str, Floats]:
    return _facts(n, 1)[0].scores


@pytest.mark.parametrize("strategy", FITTED, ids=lambda row: row.name)
def test_too_few_samples_are_said(strategy: Strategy) -> None:
    """The row stays in the table with its reason; scoring candidates with it is the user's error."""
    few = SAMPLE.take(np.arange(strategy.min_samples - 1))
    found = evidence_of(strategy, few, TARGET[: len(few)], pool=SAMPLE)
    assert found.absent == f"needs {strategy.min_samples} samples, {len(few)} are there"
    assert found.pairs.constant
    with pytest.raises(ConfigError, match=f"needs {strategy.min_samples} trained architectures"):
        candidate_scores(strategy, CANDIDATES, sample=few, target=TARGET[: len(few)], pool=SAMPLE)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("snip", "needs the scores snip"),
        ("vote", "needs the scores synflow, nwot, zen"),
        ("bayesian_ridge", "needs encoding features"),
        ("br_zc", "needs zero-cost features"),
        ("lcsvr", "needs curve features"),
    ],
)
def test_what_is_not_known_is_said(name: str, reason: str) -> None:
    """A strategy without its inputs is absent, not wrong."""
    empty = np.empty((N, 0))
    bare = replace(SAMPLE, encoding=empty, scores={}, zero_cost=(), curve=empty)
    found = evidence_of(strategy_named(name), bare, TARGET, pool=bare)
    assert found.absent == reason
    with pytest.raises(ConfigError, match=f"The strategy {name} {reason}: give it that"):
        candidate_scores(strategy_named(name), bare, sample=bare, target=TARGET, pool=bare)


def test_a_score_with_seeds_has_an_informativeness() -> None:
    """Seed noise is set against the variance between architectures; without seeds it is unknown."""
    noisy = replace(SAMPLE, spreads={"zen": np.full(N, 10.0)})
    assert evidence_of(strategy_named("zen"), noisy, TARGET, pool=noisy).informativeness == 0.0
    assert evidence_of(strategy_named("snip"), noisy, TARGET, pool=noisy).informativeness is None


def test_an_unknown_cost_stays_unknown() -> None:
    """A hybrid costs what its scores cost; one of them unmeasured, nobody knows."""
    known = evidence_of(strategy_named("br_zc"), SAMPLE, TARGET, pool=SAMPLE)
    assert known.query_s == pytest.approx(0.5 * len(ZERO_COST), rel=0.1)
    seconds = {name: 0.5 for name in SINGLE if name != "zico"}
    found = evidence_of(strategy_named("br_zc"), replace(SAMPLE, seconds=seconds), TARGET, pool=SAMPLE)
    assert found.query_s is None


def test_many_samples_are_judged_within_folds() -> None:
    """Beyond a thousand pairs a fit per pair takes too long for any model."""
    facts, target = _facts(50, 2)
    assert evidence_of(strategy_named("svr"), facts, target, pool=facts).basis == "within-folds"
    assert evidence_of(strategy_named("svr"), SAMPLE, TARGET, pool=SAMPLE).basis == "leave-pair-out"


def test_facts_are_cut_and_joined() -> None:
    """Two halves make the whole again; the seconds are weighted by their number."""
    first, second = SAMPLE.take(np.arange(10)), SAMPLE.take(np.arange(10, N))
    second = replace(second, seconds=dict.fromkeys(SINGLE, 2.0))
    whole = first.joined(second)
    assert whole.encoding.tolist() == SAMPLE.encoding.tolist()
    assert whole.scores["zen"].tolist() == SAMPLE.scores["zen"].tolist()
    assert whole.curve.shape == SAMPLE.curve.shape
    assert whole.seconds["zen"] == pytest.approx((10 * 0.5 + (N - 10) * 2.0) / N)

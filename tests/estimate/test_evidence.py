"""Evidence and candidate scores of every row, from the features of made-up architectures."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import (
    STRATEGIES,
    ArchitectureFeatures,
    Strategy,
    candidate_scores,
    evidence_of,
    single_strategies,
    strategy_named,
)
from mlflow_nas.estimate.features import ZERO_COST
from mlflow_nas.estimate.selection import Floats, pairs_of, tau_b

N, M = 30, 12
SINGLE = [row.name for row in single_strategies(STRATEGIES)]
FITTED = [row for row in STRATEGIES if row.fit]
TOGETHER = [row for row in STRATEGIES if row.fit or row.aggregate]
every_row = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda row: row.name)
every_together = pytest.mark.parametrize("strategy", TOGETHER, ids=lambda row: row.name)


def _features(n: int, seed: int) -> tuple[ArchitectureFeatures, Floats]:
    """Architectures of which everything known follows their quality, with noise."""
    rng = np.random.default_rng(seed)
    quality = rng.normal(size=n)

    def noisy() -> Floats:
        return np.asarray(quality + rng.normal(0, 0.3, n))

    features = ArchitectureFeatures(
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
    return features, quality


def _least_squares(features: Floats, target: Floats) -> Callable[[Floats], Floats]:
    """A fast model."""
    centre, spread = target.mean(), features.mean(axis=0)
    weights = np.linalg.lstsq(features - spread, target - centre, rcond=None)[0]
    return lambda queries: np.asarray((queries - spread) @ weights + centre)


SAMPLE, TARGET = _features(N, 0)
CANDIDATES, TRUTH = _features(M, 1)


def test_the_table_has_thirty_one_rows_of_one_kind_each() -> None:
    """24 strategies, six hybrids, the supernet: one function each, and hybrids name what they see."""
    assert len(STRATEGIES) == len({row.name for row in STRATEGIES}) == 31
    for row in STRATEGIES:
        functions = (row.score, row.curve, row.one_shot, row.fit, row.aggregate)
        assert sum(part is not None for part in functions) == 1, row.name
        assert bool(row.features) == (row.fit is not None)
        assert (row.min_samples > 0) == (row.fit is not None)


@every_row
def test_every_row_ranks_the_sample(strategy: Strategy) -> None:
    """Scores that follow the quality rank it, out of sample, with a cost per candidate."""
    if strategy.fit is not None:
        strategy = replace(strategy, fit=_least_squares)  # the models are tested elsewhere
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
    return _features(n, 1)[0].scores


@pytest.mark.parametrize("strategy", FITTED, ids=lambda row: row.name)
def test_too_few_samples_are_reported(strategy: Strategy) -> None:
    """The row stays in the table with its reason; scoring candidates with it is the user's error."""
    few = SAMPLE.take(np.arange(strategy.min_samples - 1))
    found = evidence_of(strategy, few, TARGET[: len(few)], pool=SAMPLE)
    assert found.absent == f"needs {strategy.min_samples} samples, there are {len(few)}"
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
def test_missing_features_are_reported(name: str, reason: str) -> None:
    """A strategy without its inputs is absent, not wrong."""
    empty = np.empty((N, 0))
    bare = replace(SAMPLE, encoding=empty, scores={}, zero_cost=(), curve=empty)
    found = evidence_of(strategy_named(name), bare, TARGET, pool=bare)
    assert found.absent == reason
    with pytest.raises(ConfigError, match=f"The strategy {name} {reason}: provide them"):
        candidate_scores(strategy_named(name), bare, sample=bare, target=TARGET, pool=bare)


def test_a_score_with_seeds_has_an_informativeness() -> None:
    """Seed noise is set against the variance between architectures; without seeds it is unknown."""
    noisy = replace(SAMPLE, spreads={"zen": np.full(N, 10.0)})
    assert evidence_of(strategy_named("zen"), noisy, TARGET, pool=noisy).informativeness == 0.0
    assert evidence_of(strategy_named("snip"), noisy, TARGET, pool=noisy).informativeness is None


def test_an_unknown_cost_stays_unknown() -> None:
    """A hybrid costs as much as its scores; when one of them is unmeasured, the cost is unknown."""
    hybrid = replace(strategy_named("br_zc"), fit=_least_squares)
    known = evidence_of(hybrid, SAMPLE, TARGET, pool=SAMPLE)
    assert known.query_s == pytest.approx(0.5 * len(ZERO_COST), rel=0.1)
    seconds = {name: 0.5 for name in SINGLE if name != "zico"}
    found = evidence_of(hybrid, replace(SAMPLE, seconds=seconds), TARGET, pool=SAMPLE)
    assert found.query_s is None


def test_many_samples_are_judged_within_folds() -> None:
    """Beyond a thousand pairs a fit per pair takes too long for any model."""
    features, target = _features(50, 2)
    model = replace(strategy_named("svr"), fit=_least_squares)
    assert evidence_of(model, features, target, pool=features).basis == "within-folds"
    assert evidence_of(model, SAMPLE, TARGET, pool=SAMPLE).basis == "leave-pair-out"


def test_facts_are_cut_and_joined() -> None:
    """Two halves make the whole again; the seconds are weighted by their number."""
    first, second = SAMPLE.take(np.arange(10)), SAMPLE.take(np.arange(10, N))
    second = replace(second, seconds=dict.fromkeys(SINGLE, 2.0))
    whole = first.joined(second)
    assert whole.encoding.tolist() == SAMPLE.encoding.tolist()
    assert whole.scores["zen"].tolist() == SAMPLE.scores["zen"].tolist()
    assert whole.curve.shape == SAMPLE.curve.shape
    assert whole.seconds["zen"] == pytest.approx((10 * 0.5 + (N - 10) * 2.0) / N)

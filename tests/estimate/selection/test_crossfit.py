from collections.abc import Callable

import numpy as np
import pytest

from mlflow_nas.estimate.selection import Floats, Pairs, leave_pair_out, pairs_of, tau_b, within_folds

N = 10
Judge = Callable[..., Pairs]


def _folds(features: Floats, target: Floats, fit: Callable[..., object]) -> Pairs:
    return within_folds(features, target, fit, repeats=5, seed=0)  # type: ignore[arg-type]


both = pytest.mark.parametrize("judge", [leave_pair_out, _folds])


def _tau(judge: Judge, features: Floats, target: Floats, fit: Callable[..., object]) -> float:
    return tau_b(judge(features, target, fit), pairs_of(target))


def _mean(_features: Floats, target: Floats) -> Callable[[Floats], Floats]:
    return lambda queries: np.full(len(queries), target.mean())


def _least_squares(features: Floats, target: Floats) -> Callable[[Floats], Floats]:
    centre = target.mean()
    weights = np.linalg.lstsq(features - features.mean(axis=0), target - centre, rcond=None)[0]
    return lambda queries: np.asarray(queries @ weights + centre)


@both
def test_a_constant_predictor_is_worth_exactly_nothing(judge: Judge) -> None:
    """The mean of the rest, whatever it is, ranks no pair."""
    target = np.random.default_rng(0).normal(size=N)
    assert _tau(judge, np.zeros((N, 1)), target, _mean) == 0.0


def test_pooled_leave_one_out_of_a_constant_is_minus_one() -> None:
    """Why it is banned: without a high value the mean of the others is lower."""
    target = np.random.default_rng(0).normal(size=N)
    pooled = np.array([np.delete(target, index).mean() for index in range(N)])
    assert tau_b(pairs_of(pooled), pairs_of(target)) == pytest.approx(-1.0)


@both
def test_features_of_no_worth_have_no_worth_on_average(judge: Judge) -> None:
    """Over 50 draws of pure noise a fitted line has a mean tau of 0, where in-sample it would look good."""
    rng = np.random.default_rng(1)
    draws = [(rng.normal(size=(N, 3)), rng.normal(size=N)) for _ in range(50)]
    assert abs(np.mean([_tau(judge, *draw, _least_squares) for draw in draws])) < 0.08
    fitted = [tau_b(pairs_of(_least_squares(x, y)(x)), pairs_of(y)) for x, y in draws]
    assert np.mean(fitted) > 0.08


@both
def test_a_model_that_knows_everything_has_tau_one(judge: Judge) -> None:
    """With the target among the features every pair is ranked right, those that never met in a fold, too."""
    target = np.random.default_rng(2).normal(size=N)
    assert _tau(judge, target[:, None], target, _least_squares) == 1.0


def test_no_fit_sees_the_pair_it_is_judged_by() -> None:
    """Each of the n (n - 1) / 2 fits gets all but two, each pair once."""
    seen = []

    def spy(features: Floats, target: Floats) -> Callable[[Floats], Floats]:
        seen.append(frozenset(range(6)) - set(features[:, 0].astype(int).tolist()))
        return _mean(features, target)

    leave_pair_out(np.arange(6.0)[:, None], np.arange(6.0), spy)
    assert len(seen) == len(set(seen)) == 15
    assert {len(pair) for pair in seen} == {2}

import numpy as np
import pytest

from mlflow_nas.estimate.selection import draw_weights, interval, out_of_bag, pairs_of, tau_b, weighted_tau_b

RNG = np.random.default_rng(3)
TARGET = RNG.normal(size=12)
SCORES = np.round(TARGET + RNG.normal(size=12), 1)


def test_weights_of_one_give_the_samples_own_tau() -> None:
    """The draw with all weights 1 is the sample."""
    pairs, target = pairs_of(SCORES), pairs_of(TARGET)
    assert weighted_tau_b([pairs], target, np.ones((1, 12)))[0, 0] == pytest.approx(tau_b(pairs, target))


def test_a_draw_is_the_sum_over_its_weighted_pairs() -> None:
    """The matrix product agrees with a double loop that never pairs an architecture with its copy."""
    weights = draw_weights(12, 1, seed=1)
    agreed = scored = measured = 0.0
    for i in range(12):
        for j in range(12):
            pair = weights[0, i] * weights[0, j] * (i != j)
            agreed += pair * np.sign(SCORES[i] - SCORES[j]) * np.sign(TARGET[i] - TARGET[j])
            scored += pair * (SCORES[i] != SCORES[j])
            measured += pair * (TARGET[i] != TARGET[j])
    found = weighted_tau_b([pairs_of(SCORES)], pairs_of(TARGET), weights)[0, 0]
    assert found == pytest.approx(agreed / np.sqrt(scored * measured))


def test_a_sample_of_two_works() -> None:
    """Draws of one architecture only have no pair and no value; the others have the sample's."""
    two = pairs_of(np.array([1.0, 2.0]))
    draws = weighted_tau_b([two], two, draw_weights(2, 50, seed=0))
    assert set(draws[~np.isnan(draws)].tolist()) == {1.0}
    assert np.isnan(draws).any()
    assert interval(draws) == (1.0, 1.0)


def test_draws_take_n_of_n_and_leave_out_the_rest() -> None:
    """Weights add up to n, and the out-of-bag weights are 1 exactly where they are 0."""
    weights = draw_weights(12, 100, seed=0)
    assert (weights.sum(axis=1) == 12).all()
    assert ((out_of_bag(weights) == 1) == (weights == 0)).all()

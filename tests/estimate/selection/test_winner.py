import numpy as np
import pytest

from mlflow_nas.estimate.selection import corrected_tau, informativeness, noise_of
from mlflow_nas.estimate.selection.winner import holm, indistinguishable, one_sided_p, probability_best


def test_the_correction_of_one_strategy_is_its_mean_out_of_bag_tau() -> None:
    """Without a choice there is no winner's curse to correct."""
    rng = np.random.default_rng(0)
    in_bag, left_out = rng.normal(size=(200, 1)), rng.normal(size=(200, 1))
    assert corrected_tau(in_bag, left_out) == pytest.approx(left_out.mean())


def test_the_correction_scores_each_draws_winner_on_what_it_left_out() -> None:
    """The in-bag winner of each draw is scored out of bag."""
    in_bag = np.array([[0.5, 0.4], [0.1, 0.6]])
    assert corrected_tau(in_bag, np.array([[0.2, 0.9], [0.8, 0.4]])) == pytest.approx(0.3)


def test_choosing_among_noise_is_corrected_to_zero() -> None:
    """Twelve strategies of no worth have a winner that looks good and a corrected tau of about 0."""
    rng = np.random.default_rng(1)
    in_bag, left_out = rng.normal(0, 0.1, (4_000, 12)), rng.normal(0, 0.1, (4_000, 12))
    assert in_bag.max(axis=1).mean() > 0.1
    assert abs(corrected_tau(in_bag, left_out)) < 0.01


def test_probabilities_of_being_best_share_ties() -> None:
    """Two strategies that win together get half of the draw each; the shares add up to 1."""
    found = probability_best(np.array([[0.5, 0.5, 0.1], [0.2, 0.6, 0.1]]))
    assert found.tolist() == [0.25, 0.75, 0.0]


def test_a_strategy_that_always_loses_is_told_apart() -> None:
    """A paired difference that never crosses 0 separates; one that does doesn't."""
    draws = np.random.default_rng(2).normal(0.5, 0.1, (500, 1))
    swaying = draws + np.random.default_rng(3).normal(0, 0.1, (500, 1))
    found = indistinguishable(np.hstack([draws, draws - 0.3, swaying]), winner=0)
    assert found.tolist() == [True, False, True]


def test_holm_steps_down() -> None:
    """The textbook case: the smallest p-value is multiplied by s, the next by s - 1, never decreasing."""
    found = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert found.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])).tolist() == [1.0, 1.0]


def test_a_p_value_is_never_zero_and_draws_without_a_value_speak_against() -> None:
    """Draws above 0 count for the strategy, the others and the observation itself against it."""
    assert one_sided_p(np.array([[0.1, -0.1], [0.2, np.nan], [0.3, 0.1]])).tolist() == [0.25, 0.75]


def test_informativeness_is_the_share_of_variance_between_architectures() -> None:
    """Equal signal and seed variance give a half; a score without seeds is all signal; pure noise is 0."""
    scores = np.array([1.0, 2.0, 3.0])
    assert informativeness(scores, np.full(3, np.nan), 1) == 1.0
    assert informativeness(scores, np.full(3, np.sqrt(2.5)), 5) == pytest.approx(0.5)
    assert informativeness(scores, np.full(3, 10.0), 5) == 0.0
    assert informativeness(np.array([1.0, np.nan]), np.full(2, np.nan), 1) is None


def test_the_noise_of_training_comes_from_architectures_trained_twice() -> None:
    """The ceiling is the tau between both trainings, the deviation that of a single one."""
    noise = noise_of(np.array([0.1, 0.2, 0.3]), np.array([0.2, 0.1, 0.4]))
    assert noise is not None
    assert noise.ceiling == pytest.approx(1 / 3)
    assert noise.deviation == pytest.approx(np.sqrt(0.005))
    assert noise.architectures == 3
    assert noise_of(np.array([0.1]), np.array([0.2])) is None

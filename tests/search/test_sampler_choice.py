import pytest

from mlflow_nas.search.sampler_choice import choose_sampler, judge_budget


@pytest.mark.parametrize(
    ("size", "trials", "sampler", "word"),
    [
        (6, 6, "random", "every architecture"),
        (2080, 9, "random", "fewer than 10"),
        (2080, 10, "tpe", "TPE"),
        (252_720, 1000, "tpe", "TPE"),
        (252_720, 1001, "nsga2", "NSGA-II"),
        (1500, 1500, "random", "every architecture"),
    ],
)
def test_the_sampler_follows_size_and_trials(size: int, trials: int, sampler: str, word: str) -> None:
    """Each bound of the table, from both sides."""
    chosen, decision = choose_sampler(size, trials)
    assert chosen == decision.choice == sampler
    assert word in decision.because


def test_a_budget_is_held_against_the_measured_time_of_a_trial() -> None:
    """Trials that fit exactly are trained; with one second less an estimate is recommended."""
    assert judge_budget(trials=10, trial_s=60, budget_s=600).choice == "full training"
    short = judge_budget(trials=10, trial_s=60, budget_s=599)
    assert short.choice == "estimate recommended"
    assert "10 trials of 60 s take 600 s of 599 s: only 9 are trained" in short.because

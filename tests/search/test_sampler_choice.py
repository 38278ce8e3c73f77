import pytest

from mlflow_nas.search.sampler_choice import choose_sampler


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

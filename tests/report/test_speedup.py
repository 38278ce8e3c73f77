"""The table of costs on the published numbers of the talk, and by hand."""

import pytest

from mlflow_nas.report import FULL, SearchCosts, speedup_table

TALK = [
    SearchCosts(study="talk", estimator=FULL, terms={"search_s": 96_000.0, "trainings": 120.0}),
    SearchCosts(
        study="talk",
        estimator="bayesian_ridge",
        terms={"samples_s": 32_000.0, "search_s": 30.0, "post_search_s": 6_400.0, "trial_s": 800.0},
    ),
    SearchCosts(
        study="talk",
        estimator="macs",
        terms={"samples_s": 32_000.0, "search_s": 6.0, "post_search_s": 9_600.0, "trial_s": 800.0},
    ),
]


def _rows(searches: list[SearchCosts], **options: int) -> dict[str, dict[str, object]]:
    return {str(row["strategy"]): row for row in speedup_table(searches, **options)}


def test_the_talks_numbers_are_14_93_and_10_amortised_and_2_5_and_2_3_cold() -> None:
    """The slide leaves out its 40 samples; with them the first search already costs less."""
    rows = _rows(TALK)
    ridge, flops = rows["bayesian_ridge"], rows["macs"]
    assert ridge["cold_s"] == 38_430.0
    assert ridge["speedup_amortised"] == pytest.approx(14.93, abs=0.005)
    assert flops["speedup_amortised"] == pytest.approx(9.99, abs=0.005)
    assert ridge["speedup_cold"] == pytest.approx(2.5, abs=0.05)
    assert flops["speedup_cold"] == pytest.approx(2.3, abs=0.05)
    assert ridge["break_even"] == pytest.approx(0.36, abs=0.005)
    assert rows[FULL]["speedup_cold"] == 1.0


def test_the_full_search_may_be_extrapolated() -> None:
    """120 trials of the measured 800 s, without training them."""
    rows = _rows(TALK[1:], full_trials=120)
    assert rows["bayesian_ridge"]["speedup_cold"] == pytest.approx(96_000 / 38_430)
    assert _rows(TALK[1:])["macs"]["speedup_cold"] is None


def test_several_searches_are_one_row_with_the_deviation_of_the_best() -> None:
    """Means over studies; the selection and the seed network count cold and not amortised."""
    terms = {"search_s": 10.0, "post_search_s": 20.0, "selection_s": 5.0, "seed_s": 100.0}
    searches = [
        SearchCosts(study=name, estimator="zen", terms={**terms, "best_quality": best}, trained_on="CPU")
        for name, best in (("a", 0.5), ("b", 0.7))
    ]
    row = _rows(searches)["zen"]
    assert row["searches"] == 2
    assert (row["cold_s"], row["amortised_s"]) == (135.0, 30.0)
    assert row["best_quality"] == pytest.approx(0.6)
    assert row["best_quality_sd"] == pytest.approx(0.1 * 2**0.5)
    assert row["trained_on"] == "CPU"


def test_equal_compute_is_the_best_of_as_many_full_trainings() -> None:
    """Of the first three of four; with fewer the value is missing."""
    full = SearchCosts(study="f", estimator=FULL, terms={}, qualities=(0.1, 0.4, 0.3, 0.9))

    def of(trainings: float) -> object:
        search = SearchCosts(study="e", estimator="zen", terms={"trainings": trainings})
        return _rows([full, search])["zen"]["equal_compute_quality"]

    assert of(3.0) == 0.4
    assert of(5.0) is None

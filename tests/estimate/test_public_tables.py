"""Regression tests of the selection on public tables; `make bench` repeats them with more draws."""

import csv
from pathlib import Path

import numpy as np
import pytest
from lightgbm import LGBMRegressor
from scipy.stats import kendalltau
from selection_protocol import (
    N,
    cells,
    coverage,
    model_agreement,
    optimism,
    profit,
    proxies,
    true_taus,
)

from mlflow_nas.estimate import MeasuredTable, read_table
from mlflow_nas.estimate.models.regressors import fit_lightgbm
from mlflow_nas.estimate.selection import Floats, leave_pair_out, pairs_of, ranks, tau_b


@pytest.fixture(scope="module")
def cifar100(nasbench: Path) -> MeasuredTable:
    return proxies(nasbench, "cifar100")


@pytest.fixture(scope="module")
def all_cells(nasbench: Path) -> MeasuredTable:
    return cells(nasbench)


def test_tau_of_every_column_is_the_published_one(nasbench: Path) -> None:
    """To three decimals, with sentinels missing and tied worst."""
    with (nasbench / "reference_tau.csv").open(encoding="utf-8") as file:
        reference = list(csv.DictReader(file))
    assert len(reference) == 26
    for dataset in ("cifar10", "cifar100"):
        ours = true_taus(proxies(nasbench, dataset))
        for row in reference:
            if (row["bench"], row["dataset"]) == ("nasbench201", dataset):
                assert ours[row["proxy"]] == pytest.approx(float(row["kendall"]), abs=1e-3), row


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_tau_of_zen_on_all_cells_is_the_published_one(nasbench: Path, dataset: str) -> None:
    """On 15,625 cells, by SciPy on our ranks: a matrix of all pairs would take gigabytes."""
    score, target = f"zen_{dataset}", f"val_acc_{dataset}"
    table = read_table(nasbench / "nb201_full.csv.gz", target=target, scores=[score])
    found = kendalltau(ranks(table.features.scores[score]), ranks(table.target)).statistic
    with (nasbench / "reference_tau.csv").open(encoding="utf-8") as file:
        reference = {
            row["dataset"]: row["kendall"] for row in csv.DictReader(file) if row["bench"] == "nb201_full"
        }
    assert found == pytest.approx(float(reference[dataset]), abs=1e-3)


@pytest.mark.slow
def test_leave_pair_out_tells_the_truth_of_a_model(all_cells: MeasuredTable) -> None:
    """Bayesian ridge on 40 one-hot cells: the mean estimate is that on unseen cells, to .04."""
    found = model_agreement(all_cells, draws=3)
    assert found.estimated == pytest.approx(found.true, abs=0.04)
    assert 0.3 < found.true < 0.6


def _mean(_features: Floats, target: Floats):  # type: ignore[no-untyped-def]
    return lambda queries: np.full(len(queries), target.mean())


def test_a_constant_is_worth_nothing_and_pooled_it_is_minus_one(cifar100: MeasuredTable) -> None:
    """Exactly 0 by leave-pair-out, exactly -1 by the pooled leave-one-out that is banned."""
    rows = cifar100.sample(N, seed=0)
    target = cifar100.target[rows]
    truth = pairs_of(target)
    assert tau_b(leave_pair_out(cifar100.features.encoding[rows], target, _mean), truth) == 0.0
    pooled = np.array([np.delete(target, index).mean() for index in range(N)])
    assert tau_b(pairs_of(pooled), truth) == pytest.approx(-1.0)


def test_the_interval_holds_the_truth_in_95_of_100_cases(cifar100: MeasuredTable) -> None:
    """Percentile bootstrap with pair weights on 40 cells, 100 draws: coverage .93 to .97."""
    assert 0.93 <= coverage(cifar100, ("nwot", "flops", "snip"), draws=100, boots=300) <= 0.97


def test_the_winner_is_biased_and_the_correction_removes_it(cifar100: MeasuredTable) -> None:
    """The best of twelve scores on 40 cells looks .03 to .08 too good; corrected less than .04 remains."""
    found = optimism(cifar100, draws=200, boots=200)
    assert 0.03 <= found.naive <= 0.08
    assert abs(found.corrected) < 0.04


@pytest.mark.slow
def test_two_stages_beat_random_search_of_as_many_trainings(all_cells: MeasuredTable) -> None:
    """48 trainings: at least .4 points of accuracy more, and within .6 of 120 random trainings."""
    found = profit(all_cells, repeats=3)
    assert found.two_stage >= found.random_equal + 0.4
    assert found.two_stage == pytest.approx(found.random_120, abs=0.6)


def _defaults(features: Floats, target: Floats):  # type: ignore[no-untyped-def]
    model = LGBMRegressor(verbosity=-1, n_jobs=1)
    model.fit(features, target)
    return model.predict


def test_lightgbm_is_not_constant_on_38_cells(cifar100: MeasuredTable) -> None:
    """The library's defaults predict a constant there, our settings don't."""
    rows = cifar100.sample(N, seed=1)
    features, target = cifar100.features.encoding[rows], cifar100.target[rows]
    predicted = [fit(features[:38], target[:38])(features) for fit in (_defaults, fit_lightgbm)]
    assert [len(set(np.round(values, 9))) == 1 for values in predicted] == [True, False]
    assert tau_b(pairs_of(predicted[0]), pairs_of(target)) == 0.0

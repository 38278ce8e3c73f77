"""Error, interval coverage and profit of the selection on public tables of NAS-Bench-201.

The regression tests (tests/estimate/test_public_tables.py) use fewer draws. The tables are
read from --tables: zc_nasbench201.csv.gz and nb201_full.csv.gz of the shared data.

    python benchmarks/selection_protocol.py --tables ../shared/data/nasbench
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.estimate import (
    MeasuredTable,
    StrategySelector,
    candidate_scores,
    read_table,
    select_from_table,
    strategy_named,
)
from mlflow_nas.estimate.selection import (
    Floats,
    corrected_tau,
    draw_weights,
    interval,
    leave_pair_out,
    out_of_bag,
    pairs_of,
    tau_b,
    weighted_tau_b,
)

Rows = NDArray[np.intp]
N = 40
PROXIES = (
    "params flops synflow nwot jacov snip grad_norm fisher grasp l2_norm plain epe_nas".split()  # noqa: SIM905
)
MODELS = ("bayesian_ridge", "br_zc")
CANDIDATES, FINALISTS = 1_000, 8


class Agreement(NamedTuple):
    """An estimate of tau against the truth, means over the draws."""

    estimated: float
    true: float


class Optimism(NamedTuple):
    """Bias of the winner's tau, without and with the correction; means over the draws."""

    naive: float
    corrected: float


class Profit(NamedTuple):
    """Best measured accuracy, percent, mean over the repeats."""

    two_stage: float
    random_equal: float
    random_120: float


def proxies(tables: Path, dataset: str) -> MeasuredTable:
    """725 cells with twelve zero-cost scores."""
    return read_table(
        tables / "zc_nasbench201.csv.gz",
        target="val_accuracy",
        scores=PROXIES,
        categorical=["arch"],
        where=[f"dataset={dataset}"],
    )


def cells(tables: Path) -> MeasuredTable:
    """All 15,625 cells with their operations, three scores and the accuracy on CIFAR-100."""
    scores = ["zen_cifar100", "flops_m", "params_m"]
    return read_table(
        tables / "nb201_full.csv.gz",
        target="val_acc_cifar100",
        scores=scores,
        features=scores[1:],
        categorical=["ops"],
    )


def true_taus(table: MeasuredTable) -> dict[str, float]:
    """tau-b of every score over the whole table."""
    truth = pairs_of(table.target)
    return {name: tau_b(pairs_of(values), truth) for name, values in table.features.scores.items()}


def model_agreement(table: MeasuredTable, *, draws: int, unseen: int = 1_000) -> Agreement:
    """Leave-pair-out tau of Bayesian ridge on one-hot features, and its tau on cells it never saw."""
    fit = strategy_named("bayesian_ridge").fit
    assert fit is not None  # noqa: S101 - a model has a fit
    found = []
    for seed in range(draws):
        rows = np.random.default_rng(seed).permutation(len(table.features))
        drawn, rest = rows[:N], rows[N : N + unseen]
        x, y = table.features.encoding, table.target
        predicted = fit(x[drawn], y[drawn])(x[rest])
        estimated = tau_b(leave_pair_out(x[drawn], y[drawn], fit), pairs_of(y[drawn]))
        found.append((estimated, tau_b(pairs_of(predicted), pairs_of(y[rest]))))
    return Agreement(*np.mean(found, axis=0).tolist())


def coverage(table: MeasuredTable, scores: Sequence[str], *, draws: int, boots: int) -> float:
    """Share of the 95 % intervals on 40 cells that hold the tau of the whole table."""
    truth = true_taus(table)
    held = []
    for seed in range(draws):
        taus = _sampled(table, scores, seed=seed, boots=boots)[0]
        for name, column in zip(scores, taus.T, strict=True):
            low, high = interval(column)
            held.append(low <= truth[name] <= high)
    return float(np.mean(held))


def optimism(table: MeasuredTable, *, draws: int, boots: int) -> Optimism:
    """The winner among twelve scores on 40 cells: its tau there, and the corrected, minus its true tau."""
    truth = true_taus(table)
    found = []
    for seed in range(draws):
        in_bag, left_out, taus = _sampled(table, PROXIES, seed=seed, boots=boots)
        best = int(np.argmax(taus))
        true = truth[PROXIES[best]]
        found.append((taus[best] - true, corrected_tau(in_bag, left_out) - true))
    return Optimism(*np.mean(found, axis=0).tolist())


def _sampled(
    table: MeasuredTable, scores: Sequence[str], *, seed: int, boots: int
) -> tuple[Floats, Floats, Floats]:
    """tau-b of the scores on 40 cells: in bag [B, s], out of bag [B, s], on the sample [s]."""
    rows = table.sample(N, seed=seed)
    target = pairs_of(table.target[rows])
    pairs = [pairs_of(table.features.scores[name][rows]) for name in scores]
    weights = draw_weights(N, boots, seed=seed)
    taus = np.array([tau_b(item, target) for item in pairs])
    return (
        weighted_tau_b(pairs, target, weights),
        weighted_tau_b(pairs, target, out_of_bag(weights)),
        taus,
    )


def two_stage(table: MeasuredTable, *, seed: int, boots: int = 1_000) -> float:
    """Train 40 cells, select a strategy, score 1,000 others, train 8 of them: the best accuracy of the 48.

    Where nothing is selected, the FLOPs and the winner share the 8.
    """
    selector = StrategySelector(strategies=[strategy_named(name) for name in MODELS], draws=boots)
    result = select_from_table(table, selector, samples=N, seed=seed)
    sample = table.sample(N, seed=seed)
    others = np.setdiff1d(np.arange(len(table.features)), sample)
    candidates = np.random.default_rng(10_000 + seed).permutation(others)[:CANDIDATES]
    trusted = [result.selected] if result.selected else list(result.fallback)
    best = table.target[sample].max()
    for name in trusted:
        scores = _scores(table, name, candidates=candidates, sample=sample)
        finalists = candidates[np.argsort(-scores)[: FINALISTS // len(trusted)]]
        best = max(best, table.target[finalists].max())
    return float(best)


def _scores(table: MeasuredTable, name: str, *, candidates: Rows, sample: Rows) -> Floats:
    features = table.features
    if name in features.scores:
        return features.take(candidates).scores[name]
    strategy = strategy_named(name)
    known, target = features.take(sample), table.target[sample]
    return candidate_scores(strategy, features.take(candidates), sample=known, target=target, pool=features)


def profit(table: MeasuredTable, *, repeats: int) -> Profit:
    """The two-stage search against plain random search of as many trainings, and of 120."""
    rng = np.random.default_rng(0)

    def random(trainings: int) -> float:
        drawn = [rng.choice(table.target, trainings, replace=False).max() for _ in range(2_000)]
        return float(np.mean(drawn))

    found = [two_stage(table, seed=seed) for seed in range(repeats)]
    return Profit(float(np.mean(found)), random(N + FINALISTS), random(120))


def main() -> None:
    """Measure everything and print it as a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/nasbench"))
    parser.add_argument("--draws", type=int, default=300, help="samples of 40 cells")
    options = parser.parse_args()
    if not options.tables.is_dir():
        sys.exit(f"{options.tables} is missing: give --tables FOLDER with zc_nasbench201.csv.gz")
    table, full = proxies(options.tables, "cifar100"), cells(options.tables)
    draws = options.draws
    measures: dict[str, Callable[[], object]] = {
        "leave-pair-out of Bayesian ridge, true": lambda: model_agreement(full, draws=min(draws, 25)),
        "coverage of the 95 % interval": lambda: coverage(table, PROXIES, draws=draws, boots=2_000),
        "optimism of the winner, after the correction": lambda: optimism(table, draws=draws, boots=2_000),
        "best accuracy: two-stage 48, random 48, random 120": lambda: profit(full, repeats=min(draws, 60)),
    }
    rows: list[tuple[object, ...]] = []
    for name, measure in measures.items():
        start = time.perf_counter()
        value = np.round(np.atleast_1d(np.array(measure())), 3).tolist()
        rows.append((name, ", ".join(map(str, value)), f"{time.perf_counter() - start:.0f}"))
    from common import table as markdown  # here: the tests that use this file need no search

    sys.stdout.write(markdown(("measure", "value", "s"), rows))


if __name__ == "__main__":
    main()

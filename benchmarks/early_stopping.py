"""What MO-ASHA saves and loses: epochs and hypervolume beside full trainings, by the search's own code.

The tables of NAS-Bench-201 hold final accuracies only. So accuracies at the rungs are simulated: the final
ones with normal noise, so large that ranks at a rung have a given Kendall tau to the final ranks. A finished
study, whose trials were all trained to the end, is replayed from its recorded curves instead, in random
orders.

    python benchmarks/early_stopping.py --tables ../shared/data/nasbench
    python benchmarks/early_stopping.py --study full
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import optuna
from common import table
from nasbench import MAXIMIZE, REFERENCE, Table, interval, nasbench_space, read_tables
from numpy.typing import NDArray
from optuna.storages import InMemoryStorage
from scipy.stats import kendalltau

from mlflow_nas.pareto import hypervolume
from mlflow_nas.search import Claim, Loop, StudyStore, load_store
from mlflow_nas.search.claims import Choose, Claims
from mlflow_nas.search.early_stopping import EarlyStopping, SuccessiveHalving, rungs_of
from mlflow_nas.search.samplers import Proposer, Sampling, make_sampler
from mlflow_nas.search.store import open_study
from mlflow_nas.space import SearchSpace, fastestdet_head
from mlflow_nas.trial import Listener
from mlflow_nas.types import Objective, TrialResult

OBJECTIVES = (Objective("map", "maximize"), Objective("latency_ms", "minimize"))
EPOCHS = 27
TAUS = (0.5, 0.8)
"""At the first and at the second rung, as measured on penn-fudan."""
REDUCTIONS = (2, 3)


class Training(NamedTuple):
    """The accuracies of a training, an epoch each, those of its file, and its cost."""

    curve: Sequence[float]
    accuracy: float
    cost: float


class Outcome(NamedTuple):
    """What a search came to."""

    epochs: int
    trials: int
    hypervolume: float


Trainings = Callable[[str], Training]
"""By an architecture's key."""


class _Unwatched(StudyStore):
    """A study whose trials end at once, without heartbeats."""

    @contextmanager
    def beating(self, claim: Claim) -> Iterator[Event]:
        """Nothing is renewed."""
        del claim
        yield Event()


class Replay:
    """A search over known trainings.

    Args:
        space: of the architectures.
        trainings: of all of them.
        reduction: of MO-ASHA; None trains all to the end.
        reference: of the hypervolume.
    """

    def __init__(
        self,
        space: SearchSpace,
        trainings: Trainings,
        *,
        reduction: int | None,
        reference: tuple[float, float],
    ) -> None:
        self._space, self._trainings, self._reference = space, trainings, reference
        self._reduction = reduction
        self._done: dict[str, int] = {}

    @property
    def epochs(self) -> int:
        """Trained until now."""
        return sum(self._done.values())

    def run(
        self,
        *,
        trials: int,
        seed: int,
        sampler: str = "random",
        budget: float = np.inf,
        choose: Choose | None = None,
    ) -> Outcome:
        """Evaluate trials until the study has that many, or their epochs are the budget."""
        proposer = Proposer(
            make_sampler(sampler, Sampling(self._space, trials, seed)), self._space, seed=seed
        )
        study = open_study("replay", storage=InMemoryStorage(), objectives=OBJECTIVES)
        claims = Claims(store=_Unwatched(study=study), space=self._space, proposer=proposer)
        loop = Loop(claims=claims, evaluate=self._evaluate, may_begin=lambda _evaluated: self.epochs < budget)
        if self._reduction is not None:
            self._stop_early(loop)
        loop.run(trials, choose=choose)
        points = [
            (one.metrics["map"], one.metrics["latency_ms"])
            for one in claims.store.results()
            if one.state == "complete"
        ]
        return Outcome(self.epochs, len(self._done), hypervolume(points, self._reference, MAXIMIZE))

    def _stop_early(self, loop: Loop) -> None:
        epochs = len(self._trainings(self._space.key(self._space.baseline)).curve)
        reduction = self._reduction or 1
        halving = SuccessiveHalving(
            store=loop.claims.store, rungs=rungs_of(epochs, reduction=reduction), reduction=reduction
        )
        loop.claims.halving = halving
        loop.callbacks = [
            EarlyStopping(
                halving=halving,
                objectives=OBJECTIVES,
                baseline=self._space.baseline,
                screen=lambda one: {"latency_ms": self._trainings(self._space.key(one)).cost},
            )
        ]

    def _evaluate(self, claim: Claim, listener: Listener) -> TrialResult:
        training = self._trainings(claim.key)
        for epoch, accuracy in enumerate(training.curve, start=1):
            self._done[claim.key] = max(self._done.get(claim.key, 0), epoch)
            listener.epoch(epoch, {"map_fp32": accuracy})
        return TrialResult(
            key=claim.key,
            architecture=claim.architecture,
            state="complete",
            number=claim.number,
            metrics={"map": training.accuracy, "latency_ms": training.cost},
        )


def noise_for(values: NDArray[np.float64], tau: float, rng: np.random.Generator) -> float:
    """Standard deviation of the noise after which values have that Kendall tau to themselves."""
    if tau >= 1:
        return 0.0
    sample, draws = rng.choice(values, 1000), rng.standard_normal(1000)
    low, high = 0.0, 10 * float(values.std())
    for _ in range(30):
        middle = (low + high) / 2
        found = kendalltau(sample, sample + middle * draws).statistic
        low, high = (middle, high) if found > tau else (low, middle)
    return high


def simulated(points: Mapping[str, tuple[float, float]], reduction: int, seed: int) -> Trainings:
    """Trainings whose accuracies at the rungs have Kendall taus of `TAUS` to the final ones."""
    rng = np.random.default_rng(seed)
    finals = np.array([accuracy for accuracy, _ in points.values()])
    rungs = rungs_of(EPOCHS, reduction=reduction)
    noise = {rung: noise_for(finals, tau, rng) for rung, tau in zip(rungs, TAUS, strict=True)}
    draws = {rung: dict(zip(points, rng.standard_normal(len(points)), strict=True)) for rung in rungs}

    def training(key: str) -> Training:
        accuracy, cost = points[key]
        curve = [
            accuracy + noise[epoch] * draws[epoch][key] if epoch in noise else accuracy
            for epoch in range(1, EPOCHS + 1)
        ]
        return Training(curve, accuracy, cost)

    return training


def _difference(found: Sequence[Outcome], full: Sequence[Outcome]) -> str:
    volumes = [np.array([one.hypervolume for one in outcomes]) for outcomes in (found, full)]
    low, high = interval(volumes[0] - volumes[1])
    return f"{low:+.4f} to {high:+.4f}"


def _mean(outcomes: Sequence[Outcome], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in outcomes]))


def on_table(found: Table, space: SearchSpace, *, sampler: str, trials: int, seeds: int) -> str:
    """Rows of one data set of the benchmark."""

    def searches(reduction: int | None, **options: Any) -> list[Outcome]:
        return [
            Replay(
                space,
                simulated(found.points, reduction or 2, seed),
                reduction=reduction,
                reference=REFERENCE,
            ).run(seed=seed, sampler=sampler, **{"trials": trials, **options})
            for seed in range(seeds)
        ]

    full = searches(None)
    volume = f"{_mean(full, 'hypervolume'):.4f}"
    rows: list[tuple[object, ...]] = [("none", "100%", volume, "", trials, volume, "")]
    for reduction in REDUCTIONS:
        stopped = searches(reduction)
        longer = searches(reduction, trials=10 * trials, budget=trials * EPOCHS)
        rows.append(
            (
                f"reduction {reduction}",
                f"{_mean(stopped, 'epochs') / trials / EPOCHS:.0%}",
                f"{_mean(stopped, 'hypervolume'):.4f}",
                _difference(stopped, full),
                round(_mean(longer, "trials")),
                f"{_mean(longer, 'hypervolume'):.4f}",
                _difference(longer, full),
            )
        )
    head = (
        *(f"{sampler}, {trials} trials, early stopping", "epochs", "hypervolume", "95 % of the difference"),
        *("trials of as many epochs", "hypervolume", "95 % of the difference"),
    )
    return table(head, rows)


def _in_order(order: Sequence[TrialResult]) -> Choose:
    """The architectures of a list, the first that is not evaluated yet."""
    return lambda known: next((one.architecture for one in order if one.key not in known), None)


def on_study(results: Sequence[TrialResult], space: SearchSpace, *, seeds: int) -> str:
    """Rows of a study that was trained to the end, replayed in random orders; costs are latency ratios."""
    complete = [one for one in results if one.state == "complete"]
    trainings = {
        one.key: Training(
            [epoch["map_fp32"] for epoch in one.history], one.metrics["map"], one.metrics["latency_ratio"]
        )
        for one in complete
    }
    curves = np.array([one.curve for one in trainings.values()])
    epochs, corner = curves.shape[1], (0.0, max(one.cost for one in trainings.values()))
    lines = [
        f"After {rung} of {epochs} epochs ranks of accuracy have a Kendall tau of "
        f"{kendalltau(curves[:, rung - 1], curves[:, -1]).statistic:.2f} to the last."
        for rung in sorted({*rungs_of(epochs, reduction=2), *rungs_of(epochs, reduction=3)})
    ]
    rows: list[tuple[object, ...]] = [_all_trained(list(trainings.values()), corner)]
    for reduction in (2, 3, 4):
        stopped, fewer = [], []
        for seed in range(seeds):
            order = Random(seed).sample(complete, len(complete))  # noqa: S311 - an order, not a secret
            replay = Replay(space, trainings.__getitem__, reduction=reduction, reference=corner)
            stopped.append(replay.run(trials=len(order), seed=seed, choose=_in_order(order)))
            replay = Replay(space, trainings.__getitem__, reduction=None, reference=corner)
            count = round(stopped[-1].epochs / epochs)
            fewer.append(replay.run(trials=count, seed=seed, choose=_in_order(order)))
        rows.append(
            (
                f"reduction {reduction}",
                f"{_mean(stopped, 'epochs') / curves.size:.0%}",
                f"{_mean(stopped, 'hypervolume'):.4f}",
                f"{_mean(fewer, 'trials'):.1f}",
                f"{_mean(fewer, 'hypervolume'):.4f}",
                _difference(stopped, fewer),
            )
        )
    head = (
        *(f"{len(complete)} trials, early stopping", "epochs", "hypervolume"),
        *("all trained with as many epochs: trials", "hypervolume", "95 % of the difference"),
    )
    return "\n".join([*lines, "", table(head, rows)])


def _all_trained(trainings: Sequence[Training], corner: tuple[float, float]) -> tuple[object, ...]:
    volume = hypervolume([(one.accuracy, one.cost) for one in trainings], corner, MAXIMIZE)
    return ("none", "100%", f"{volume:.4f}", len(trainings), f"{volume:.4f}", "")


def main() -> int:
    """Print a table per data set, or that of a study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tables", type=Path, default=Path("../shared/data/nasbench"))
    parser.add_argument("--study", help="a finished search without early stopping, to replay")
    parser.add_argument("--storage", help="of the study")
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if options.study:
        results = load_store(options.study, options.storage).results()
        sys.stdout.write(on_study(results, fastestdet_head(), seeds=options.seeds))
        return 0
    space = nasbench_space()
    for found in read_tables(options.tables, space):
        sys.stdout.write(f"\n{found.data}\n\n")
        sys.stdout.write(
            on_table(found, space, sampler=options.sampler, trials=options.trials, seeds=options.seeds)
        )
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Early stopping with several objectives: MO-ASHA, asynchronous successive halving (arXiv:2106.12639).

A training that reaches a rung, a number of epochs, continues when it is among the best of all that have
reached it. Otherwise its trial is paused: it waits, with its checkpoint in the step cache, until it is among
the best of those that have reached the rung since. Trials that are paused at the end of the study are pruned.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from optuna.trial import FrozenTrial, TrialState

from mlflow_nas.config import SearchConfig
from mlflow_nas.errors import ConfigError
from mlflow_nas.pareto import selection_order
from mlflow_nas.search.context import StudyConfig
from mlflow_nas.search.store import PAUSED, PROMOTED, RUNGS, Claim, StudyStore, is_paused
from mlflow_nas.train import TrainingInterrupt
from mlflow_nas.trial import StudyContext, estimates, screen
from mlflow_nas.types import Architecture, Objective, TrialResult

__all__ = ["EarlyStopping", "SuccessiveHalving", "TrialPaused", "callbacks_of", "open_halving", "rungs_of"]

_VALUES, _SECONDS = "values", "seconds"


class TrialPaused(TrainingInterrupt):
    """The trial waits at a rung.

    Attributes:
        rung: epochs.
        result: what is known of it, as a pruned trial.
    """

    def __init__(self, rung: int, result: TrialResult) -> None:
        super().__init__(result.key)
        self.rung, self.result = rung, result


def rungs_of(epochs: int, *, reduction: int, first: int | None = None) -> tuple[int, ...]:
    """Epochs after which trainings are compared, below `epochs`.

    Args:
        epochs: of a whole training.
        reduction: between one rung and the next.
        first: epochs of the first rung; None for two rungs, or one in a short training.

    Raises:
        ConfigError: there is no rung before the end of the training.
    """
    rung = first or max(round(epochs / reduction**2), 1)
    if rung >= epochs:
        raise ConfigError(
            f"The first rung is at {rung} epochs, a training has {epochs}: set "
            "search.early_stopping.first_rung below that, give more --epochs, or --early-stopping none."
        )
    rungs = []
    while rung < epochs:
        rungs.append(rung)
        rung *= reduction
    return tuple(rungs)


@dataclass(frozen=True, kw_only=True)
class SuccessiveHalving:
    """Which trials of a study continue beyond a rung.

    Departures from the paper: a trial that is among the best as it arrives continues at once, instead of
    waiting for a worker; the baseline is compared and always continues.

    Attributes:
        store: the study, whose trials hold their values at the rungs.
        rungs: epochs, ascending.
        reduction: the share 1 / reduction of those that reached a rung continues.
    """

    store: StudyStore
    rungs: tuple[int, ...]
    reduction: int

    def record(self, number: int, rung: int, values: Sequence[float], *, seconds: float) -> None:
        """Store the objectives of a trial at a rung, and the seconds that it took until there."""
        known = self.store.trial(number).user_attrs.get(RUNGS, {})
        point = {_VALUES: list(values), _SECONDS: seconds}
        self.store.set_attr(number, RUNGS, {**known, str(rung): point})
        self.store.report(number, rung, values[0])

    def best_at(self, rung: int) -> set[int]:
        """Numbers of the trials that are among the best of those that have reached a rung."""
        reached = {
            one.number: one.user_attrs[RUNGS][str(rung)][_VALUES]
            for one in self.store.trials()
            if str(rung) in one.user_attrs.get(RUNGS, {})
        }
        numbers, maximize = list(reached), tuple(one.maximize for one in self.store.objectives)
        if not numbers:
            return set()
        points, count = [reached[number] for number in numbers], len(numbers) // self.reduction
        return {numbers[index] for index in selection_order(points, maximize, count=count)}

    def held(self, trials: Sequence[FrozenTrial]) -> set[int]:
        """Numbers of the paused trials that are not among the best of their rung."""
        waiting = [one for one in trials if one.state is TrialState.WAITING and is_paused(one)]
        paused = {one.number: one.user_attrs[PAUSED]["rung"] for one in waiting}
        best = {rung: self.best_at(rung) for rung in set(paused.values())}
        return {number for number, rung in paused.items() if number not in best[rung]}

    def seconds_of(self, trial: FrozenTrial) -> float:
        """What a trial took until the rung that it has passed."""
        rungs, passed = trial.user_attrs.get(RUNGS, {}), trial.user_attrs.get(PROMOTED, 0)
        return float(rungs.get(str(passed), {}).get(_SECONDS, 0.0))


def open_halving(config: StudyConfig, context: StudyContext, store: StudyStore) -> SuccessiveHalving | None:
    """The rule of a search with early stopping; None without.

    Raises:
        ConfigError: no rung fits the trainings, an objective is known after a training only, or an estimator
            or a budget chooses what is trained.
    """
    if not isinstance(config, SearchConfig) or config.search.early_stopping.method == "none":
        return None
    if config.search.estimator != "full":
        raise ConfigError(
            f"--early-stopping mo-asha stops trials of a sampler, and --estimator {config.search.estimator} "
            "chooses what is trained: leave one of them out."
        )
    if config.search.budget_s is not None:
        raise ConfigError(
            f"--budget {config.search.budget_s:g} follows a forecast of whole trainings, and "
            "--early-stopping mo-asha ends them early: leave one of them out."
        )
    for one in context.objectives:
        estimates(one.name)
    asked = config.search.early_stopping
    rungs = rungs_of(context.epochs, reduction=asked.reduction, first=asked.first_rung)
    return SuccessiveHalving(store=store, rungs=rungs, reduction=asked.reduction)


def callbacks_of(context: StudyContext, halving: SuccessiveHalving | None) -> "list[EarlyStopping]":
    """What pauses the trials of a worker; nothing without early stopping."""
    if halving is None:
        return []
    return [
        EarlyStopping(
            halving=halving,
            objectives=context.objectives,
            baseline=context.space.baseline,
            screen=partial(screen, context),
        )
    ]


@dataclass(kw_only=True)
class EarlyStopping:
    """A worker's callback that pauses trials at the rungs; it comes after those that log an epoch.

    Attributes:
        halving: the rule, shared through the study.
        objectives: of the study.
        baseline: the architecture that is always trained to the end.
        screen: counts and latency of an untrained architecture, as the study's metrics.
    """

    halving: SuccessiveHalving
    objectives: Sequence[Objective]
    baseline: Architecture
    screen: Callable[[Architecture], Mapping[str, float]]
    _history: list[Mapping[str, float]] = field(default_factory=list, init=False)
    _screened: Mapping[str, float] = field(default_factory=dict, init=False)
    _passed: int = field(default=0, init=False)
    _began_s: float = field(default=0.0, init=False)

    def trial_started(self, claim: Claim) -> None:
        """Read which rung it has passed."""
        trial = self.halving.store.trial(claim.number)
        self._history, self._screened = [], {}
        self._passed = trial.user_attrs.get(PROMOTED, 0)
        self._began_s = time.monotonic() - self.halving.seconds_of(trial)

    def step(self, claim: Claim, name: str) -> None:
        """Nothing."""

    def epoch(self, claim: Claim, number: int, metrics: Mapping[str, float]) -> None:
        """Compare the trial at a rung.

        Raises:
            TrialPaused: it is not among the best.
            BoardError: the board can't time the untrained network.
        """
        self._history.append(metrics)
        if number not in self.halving.rungs or number <= self._passed:
            return
        self._screened = self._screened or self.screen(claim.architecture)
        known, seconds = {**self._screened, **metrics}, time.monotonic() - self._began_s
        values = [known[estimates(one.name)] for one in self.objectives]
        self.halving.record(claim.number, number, values, seconds=seconds)
        if claim.architecture != self.baseline and claim.number not in self.halving.best_at(number):
            raise TrialPaused(number, self._pruned(claim, known, seconds=seconds))
        self._passed = number
        self.halving.store.set_attr(claim.number, PROMOTED, number)

    def _pruned(self, claim: Claim, metrics: Mapping[str, float], *, seconds: float) -> TrialResult:
        """The trial's result, should it not continue."""
        return TrialResult(
            key=claim.key,
            architecture=claim.architecture,
            state="pruned",
            number=claim.number,
            metrics={**metrics, "epochs": float(len(self._history)), "trial_s": seconds},
            history=tuple(self._history),
            seconds={"train": seconds},
        )

    def trial_finished(self, claim: Claim, result: TrialResult) -> None:
        """Nothing."""

    def trial_interrupted(self, claim: Claim) -> None:
        """Nothing."""

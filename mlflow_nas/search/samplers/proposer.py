"""Optuna's samplers over a space: what was evaluated is never proposed again."""

import random
from collections.abc import Collection, Container, Mapping, Sequence
from copy import copy
from typing import Any, NamedTuple

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GridSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from mlflow_nas.pareto import non_dominated
from mlflow_nas.search.store import is_paused
from mlflow_nas.space import Parameter, SearchSpace, Value

__all__ = ["Proposal", "Proposer", "distributions"]

_MUTATIONS = 50
_WITHOUT_MODEL = (RandomSampler, GridSampler, QMCSampler)
_TPE_TRIALS = 120
"""That TPE reads: it weighs all of them for each proposal (benchmarks/bookkeeping.py)."""


def distributions(space: SearchSpace) -> dict[str, BaseDistribution]:
    """One Optuna distribution per parameter: integers where values are evenly spaced, else categories."""
    return {name: _distribution(parameter) for name, parameter in space.parameters.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.step is None:
        return CategoricalDistribution(parameter.values)
    return IntDistribution(int(parameter.values[0]), int(parameter.values[-1]), step=parameter.step)


class Proposal(NamedTuple):
    """An architecture, and the system attributes that its sampler gives the trial."""

    architecture: dict[str, Value]
    system_attrs: dict[str, Any]


class _History(InMemoryStorage):
    """The storage of a study as a sampler reads it; what the sampler writes of its trial stays here."""

    def __init__(self) -> None:
        super().__init__()
        self.trials: Sequence[FrozenTrial] = ()
        self.system_attrs: dict[str, Any] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The trials, never copied."""
        del study_id, deepcopy
        return [one for one in self.trials if states is None or one.state in states]

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Of the trial that is proposed."""
        del trial_id
        self.system_attrs[key] = value


class Proposer:
    """Proposes architectures of a space that were not evaluated before.

    Where a sampler proposes what is known, it has converged: a mutation of that is taken, then a random
    architecture; of samplers that learn nothing only the latter, so that their trials stay a fair sample.
    The trial is created with the proposal: its storage has one write of it.

    Args:
        sampler: one of Optuna's.
        space: of the architectures.
        seed: of mutations and random architectures.
    """

    def __init__(self, sampler: BaseSampler, space: SearchSpace, *, seed: int) -> None:
        self._sampler, self._space = sampler, space
        self._is_tpe = isinstance(sampler, TPESampler)
        self._read: set[int] = set()
        self._newest = -1
        self._distributions = distributions(space)
        self._history = _History()
        self._rng = random.Random(seed)  # noqa: S311 - a draw of architectures, not a secret

    def propose(self, study: optuna.Study, seen: Collection[str]) -> Proposal:
        """An architecture whose key was not seen; the space has one at least.

        Args:
            study: with the trials to learn from.
            seen: keys of the architectures that are evaluated, or being evaluated.
        """
        trials = [_as_learned(one) for one in study.get_trials(deepcopy=False) if one.params]
        self._history.trials = self._for_tpe(trials, study.directions) if self._is_tpe else trials
        proposal = self._sample(study.directions)
        if not self._is_unseen(proposal, seen):
            near = None if isinstance(self._sampler, _WITHOUT_MODEL) else self._mutation(proposal, seen)
            proposal = near or self._random(seen)
        return Proposal(proposal, self._history.system_attrs)

    def _for_tpe(self, trials: list[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
        """Of those that were read the last time and the ones since then, the best and the latest."""
        fresh = [one for one in trials if one.number > self._newest or one.number in self._read]
        kept = _best_and_latest(fresh, directions, _TPE_TRIALS)
        self._read = {one.number for one in kept}
        self._newest = max(self._read, default=-1)
        return kept

    def _sample(self, directions: Sequence[StudyDirection]) -> dict[str, Value]:
        self._history.system_attrs = {}
        study = optuna.create_study(  # a new object: Optuna's caches the trials
            storage=self._history, study_name="history", directions=directions, load_if_exists=True
        )
        self._sampler.before_trial(study, create_trial(state=TrialState.RUNNING))
        trial = create_trial(state=TrialState.RUNNING, system_attrs=self._history.system_attrs)
        relative = self._sampler.infer_relative_search_space(study, trial)
        found = self._sampler.sample_relative(study, trial, relative)
        for name, distribution in self._distributions.items():
            if distribution.single():
                found[name] = self._space.parameters[name].values[0]
            elif name not in found:
                found[name] = self._sampler.sample_independent(study, trial, name, distribution)
        return self._space.validate(found)

    def _is_unseen(self, architecture: Mapping[str, Any], seen: Collection[str]) -> bool:
        return self._space.key(architecture) not in seen

    def _mutation(self, architecture: Mapping[str, Value], seen: Collection[str]) -> dict[str, Value] | None:
        """One that differs in one parameter; None where none was found that is unseen."""
        for _ in range(_MUTATIONS):
            mutated = self._space.mutate(architecture, self._rng)
            if self._is_unseen(mutated, seen):
                return mutated
        return None

    def _random(self, seen: Collection[str]) -> dict[str, Value]:
        while True:
            drawn = self._space.draw(self._rng)
            if self._is_unseen(drawn, seen):
                return dict(drawn)


def _as_learned(trial: FrozenTrial) -> FrozenTrial:
    """A trial as samplers read it: one that waits at a rung is pruned, and pruned ones have no curve.

    TPE takes curves of one objective only; without them pruned trials rank behind all complete ones.
    """
    if not (is_paused(trial) or trial.state is TrialState.PRUNED):
        return trial
    learned = copy(trial)
    learned.state, learned.intermediate_values = TrialState.PRUNED, {}
    return learned


def _best_and_latest(
    trials: list[FrozenTrial], directions: Sequence[StudyDirection], most: int
) -> list[FrozenTrial]:
    """The running trials, of the Pareto front at most half of `most`, and the latest up to `most`."""
    if len(trials) <= most:
        return trials
    measured = [
        one
        for one in trials
        if one.state is TrialState.COMPLETE and all(value <= 0 for value in one.constraints.values())
    ]
    maximize = tuple(one is StudyDirection.MAXIMIZE for one in directions)
    on_front = non_dominated([one.values for one in measured], maximize)
    front = [one.number for one, member in zip(measured, on_front, strict=True) if member]
    running = [one.number for one in trials if not one.state.is_finished()]
    kept = {*front[-most // 2 :], *running}
    others = [one.number for one in trials if one.number not in kept]
    kept.update(others[len(kept) - most :] if len(kept) < most else ())
    return [one for one in trials if one.number in kept]

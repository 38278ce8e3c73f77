"""Regularized evolution (arXiv:1802.01548) for one or several objectives, as a sampler of Optuna."""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from mlflow_nas.pareto import non_dominated

__all__ = ["Mutate", "RegularizedEvolutionSampler"]

Mutate = Callable[[Mapping[str, Any], random.Random], Mapping[str, Any]]
"""Parameters of a trial to parameters that differ from them."""


class RegularizedEvolutionSampler(BaseSampler):
    """Mutates the winner of a tournament within the latest trials; the oldest ones leave the population.

    Real et al., "Regularized Evolution for Image Classifier Architecture Search", algorithm 1, with two
    departures: the winner is the one of the lowest non-domination rank (doi:10.1109/4235.996017), which for
    one objective is the best, and a trial that violates a constraint loses against every one that does not.

    Args:
        population_size: latest complete trials that may be parents; as many first trials are random.
        tournament_size: of them, drawn at random for one tournament.
        mutate: of a search space; None changes one parameter to a random value of its distribution.
        seed: of all draws.
    """

    def __init__(
        self,
        *,
        population_size: int = 20,
        tournament_size: int = 5,
        mutate: Mutate | None = None,
        seed: int | None = None,
    ) -> None:
        self._population_size, self._tournament_size = population_size, tournament_size
        self._mutate = mutate
        self._rng = random.Random(seed)  # noqa: S311 - a draw of architectures, not a secret
        self._random = RandomSampler(seed=seed)

    def reseed_rng(self) -> None:
        """Draw otherwise in a forked process."""
        self._rng.seed()
        self._random.reseed_rng()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters that all complete trials have."""
        del trial
        # A new object: Optuna's caches the trials that it has read, and those of a history may be replaced.
        space = IntersectionSearchSpace().calculate(study)
        return {name: one for name, one in space.items() if not one.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A mutation of a tournament's winner; nothing while the population is not full."""
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        population = [one for one in complete if search_space.keys() <= one.params.keys()]
        if not search_space or len(population) < self._population_size:
            return {}
        entrants = self._rng.sample(
            population[-self._population_size :], min(self._tournament_size, self._population_size)
        )
        parent = self._winner(entrants, study.directions).params
        if self._mutate:
            mutated = self._mutate(parent, self._rng)
            return {name: mutated[name] for name in search_space}
        changed = self._rng.choice(list(search_space))
        value = self._random.sample_independent(study, trial, changed, search_space[changed])
        return {**{name: parent[name] for name in search_space}, changed: value}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def _winner(self, entrants: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> FrozenTrial:
        """The first drawn of the lowest rank."""
        allowed = [one for one in entrants if _violation(one) <= 0 and np.isfinite(one.values).all()]
        if not allowed:
            return min(entrants, key=_violation)
        maximize = tuple(one is StudyDirection.MAXIMIZE for one in directions)
        front = non_dominated([one.values for one in allowed], maximize)
        return allowed[int(np.argmax(front))]


def _violation(trial: FrozenTrial) -> float:
    """The sum of what its constraints are violated by."""
    return sum(max(float(value), 0.0) for value in trial.constraints.values())

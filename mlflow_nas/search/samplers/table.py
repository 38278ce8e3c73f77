"""Samplers by name: Optuna's, regularized evolution, and a user's own."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    GridSampler,
    NSGAIIISampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from mlflow_nas.errors import ConfigError
from mlflow_nas.search.factories import load_factory
from mlflow_nas.search.samplers.evolution import RegularizedEvolutionSampler
from mlflow_nas.space import SearchSpace

__all__ = ["ENTRY_POINTS", "SAMPLERS", "Sampling", "make_sampler"]

ENTRY_POINTS = "mlflow_nas.samplers"
"""Group of the entry points of samplers that other packages bring."""
_MAX_GRID = 1_000_000


class Sampling(NamedTuple):
    """What a sampler is made for.

    Attributes:
        space: of the architectures.
        trials: of the study; few of them shorten random starts and generations.
        seed: of the sampler.
        objectives: their number.
    """

    space: SearchSpace
    trials: int
    seed: int
    objectives: int = 2


def _grid(of: Sampling) -> BaseSampler:
    if of.space.size > _MAX_GRID:
        raise ConfigError(
            f"The sampler grid lists all {of.space.size} architectures of the space {of.space.name}, more "
            f"than {_MAX_GRID}: narrow the space with --set space.PARAMETER=VALUES, or choose random."
        )
    return GridSampler({name: one.values for name, one in of.space.parameters.items()}, seed=of.seed)


def _tpe(of: Sampling) -> BaseSampler:
    return TPESampler(seed=of.seed, n_startup_trials=max(min(10, of.trials // 2), 4), multivariate=True)


def _gp(of: Sampling) -> BaseSampler:
    return GPSampler(seed=of.seed, n_startup_trials=max(min(10, of.trials // 2), 4))


def _cmaes(of: Sampling) -> BaseSampler:
    if of.objectives > 1:
        raise ConfigError(
            f"The sampler cmaes optimizes one objective, the study has {of.objectives}: choose tpe, gp or "
            "nsga2, or give one of --objectives and bound the others with --limit."
        )
    return CmaEsSampler(seed=of.seed)


def _evolution(of: Sampling) -> BaseSampler:
    size = max(min(20, of.trials // 4), 4)
    return RegularizedEvolutionSampler(
        population_size=size, tournament_size=max(size // 4, 2), mutate=of.space.mutate, seed=of.seed
    )


def _nsga(kind: type[NSGAIISampler] | type[NSGAIIISampler], of: Sampling) -> BaseSampler:
    return kind(seed=of.seed, population_size=max(min(50, of.trials // 4), 4))


SAMPLERS: Mapping[str, Callable[[Sampling], BaseSampler]] = {
    "grid": _grid,
    "random": lambda of: RandomSampler(seed=of.seed),
    "tpe": _tpe,  # doi:10.1145/3377930.3389817, of all parameters at once
    "nsga2": partial(_nsga, NSGAIISampler),  # doi:10.1109/4235.996017
    "nsga3": partial(_nsga, NSGAIIISampler),  # doi:10.1109/TEVC.2013.2281535
    "gp": _gp,  # log expected hypervolume improvement, arXiv:2310.20708
    "cmaes": _cmaes,  # arXiv:1604.00772
    "qmc": lambda of: QMCSampler(seed=of.seed, scramble=True, warn_independent_sampling=False),  # Sobol
    "evolution": _evolution,  # arXiv:1802.01548
}


def make_sampler(name: str, of: Sampling) -> BaseSampler:
    """A sampler by its name.

    Args:
        name: of SAMPLERS, of an entry point of the group `mlflow_nas.samplers`, or MODULE:NAME or
            FILE.py:NAME of a class or function that takes `seed` and returns an Optuna `BaseSampler`.
        of: what it is made for.

    Raises:
        ConfigError: there is no such sampler, or it can't be used for this study.
    """
    if name in SAMPLERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # NSGA-III, QMC: pinned with Optuna
            return SAMPLERS[name](of)
    factory = load_factory(name, what="sampler", group=ENTRY_POINTS, known=("auto", *SAMPLERS))
    try:
        sampler = factory(seed=of.seed)
    except (Exception, SystemExit) as error:  # a user's class may do anything
        raise ConfigError(
            f"The sampler {name} can't be made with seed={of.seed}: {error!r}; fix its code."
        ) from error
    if not isinstance(sampler, BaseSampler):
        raise ConfigError(
            f"The sampler {name} is a {type(sampler).__name__}: give a class or function that takes `seed` "
            "and returns an optuna.samplers.BaseSampler."
        )
    return sampler

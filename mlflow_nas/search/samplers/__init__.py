"""Which architecture is evaluated next: Optuna's samplers, over a space whose architectures come once."""

from mlflow_nas.search.samplers.evolution import Mutate, RegularizedEvolutionSampler
from mlflow_nas.search.samplers.proposer import Proposal, Proposer, distributions
from mlflow_nas.search.samplers.table import ENTRY_POINTS, SAMPLERS, Sampling, make_sampler

__all__ = [
    "ENTRY_POINTS",
    "SAMPLERS",
    "Mutate",
    "Proposal",
    "Proposer",
    "RegularizedEvolutionSampler",
    "Sampling",
    "distributions",
    "make_sampler",
]

"""Where a training to the end starts: from transferred weights, or from those of the study's supernet."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from torch import Tensor

from mlflow_nas.trial.candidate import Candidate
from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.listener import Listener, Silent
from mlflow_nas.trial.steps import TRAIN
from mlflow_nas.trial.supernet.training import open_supernet
from mlflow_nas.types import Architecture, TrialResult

__all__ = ["FROM_SUPERNET", "start_of", "supernet_weights"]

State: TypeAlias = Mapping[str, Tensor]

FROM_SUPERNET = "from_supernet"
"""Metric of a finalist: 1 where its training started from the supernet's weights."""


def start_of(
    context: StudyContext, trial: TrialResult, *, listener: Listener | None = None
) -> dict[str, State]:
    """The supernet's weights of a trial's architecture, where a trial that starts from them ends better.

    They are compared after the same short training, by the accuracy on the images of val as they are. A
    network that equals the seed network has a better start: that.

    Args:
        context: of the study.
        trial: trained from transferred weights.
        listener: receives the events; None for no listener.

    Returns:
        The architecture's key to its first weights; empty where the transferred ones are better.

    Raises:
        CandidateError: it can't be trained; MachineError: this machine failed.
    """
    heard, metric = listener or Silent(), f"{context.task.metrics[0]}_fp32"
    if not trial.history or _equals_seed(context, trial.architecture):
        return {}
    starts = supernet_weights(context, trial.architecture, heard)
    candidate = Candidate(
        context=replace(context, starts=starts), architecture=trial.architecture, listener=heard
    )
    candidate.run(TRAIN)
    return starts if candidate.history[-1][metric] > trial.history[-1][metric] else {}


def _equals_seed(context: StudyContext, architecture: Architecture) -> bool:
    if context.weights is None:
        return False
    network = context.build(architecture)
    return len(context.weights.unchanged_in(network)) == len(list(network.parameters()))


def supernet_weights(
    context: StudyContext, architecture: Architecture, listener: Listener | None = None
) -> dict[str, State]:
    """An architecture's key to its weights of the study's supernet, which is trained where there is none.

    Raises:
        CandidateError: it can't be built.
        ConfigError, MachineError: of the supernet's training.
    """
    network = open_supernet(context, listener=listener).network(architecture).cpu()
    return {context.space.key(architecture): network.state_dict()}

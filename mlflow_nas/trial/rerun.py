"""A stored result computed again, where its files are not on this machine."""

from dataclasses import replace

from mlflow_nas.trial.context import StudyContext
from mlflow_nas.trial.given_measurement import measure_given
from mlflow_nas.trial.steps import run_trial
from mlflow_nas.trial.supernet import FROM_SUPERNET, supernet_weights
from mlflow_nas.types import TrialResult

__all__ = ["KEPT_TRIAL", "run_again"]

KEPT_TRIAL = "kept_trial"
"""Metric of a finalist: 1 where it has its trial's network, which is more accurate."""


def run_again(context: StudyContext, result: TrialResult) -> TrialResult:
    """The result of the same steps: of the reference, a trial, or a finalist from its own start.

    Args:
        context: of the study.
        result: with the length of its training.

    Raises:
        BoardError: the board failed; MachineError: this machine failed.
    """
    if result.role == "reference":
        return measure_given(context)
    own = context
    if result.role == "finalist" and not result.metrics.get(KEPT_TRIAL):
        from_supernet = result.metrics.get(FROM_SUPERNET)
        starts = supernet_weights(context, result.architecture) if from_supernet else {}
        own = replace(context.finishing(len(result.history)), starts=starts)
    return run_trial(own, result.architecture, role=result.role)

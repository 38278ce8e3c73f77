"""Scores of a supernet: accuracy with weights that all architectures of the space share."""

from mlflow_nas.estimate.contract import ScoringInputs, SupernetScore, UndefinedScoreError

__all__ = ["supernet"]


def supernet(inputs: ScoringInputs) -> SupernetScore:
    """The objective of the architecture with the shared weights (arXiv:1908.09791, arXiv:2003.11142).

    Raises:
        UndefinedScoreError: there is no supernet.
    """
    if inputs.supernet is None:
        raise UndefinedScoreError("there is no supernet")
    return inputs.supernet(inputs.architecture)

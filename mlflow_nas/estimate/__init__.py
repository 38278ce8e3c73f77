"""What is known of a candidate without training it."""

from mlflow_nas.estimate.complexity import complexity

__all__ = ["complexity"]

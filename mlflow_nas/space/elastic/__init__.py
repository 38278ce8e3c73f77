"""A search space from any network that torch.fx can trace: fewer channels, fewer blocks, smaller images."""

from mlflow_nas.space.elastic.space import elastic

__all__ = ["elastic"]

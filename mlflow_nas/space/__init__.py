"""Search spaces as data, and the detectors that they build."""

from mlflow_nas.space.fastestdet import fastestdet_head
from mlflow_nas.space.network import FastestDet, build_detector
from mlflow_nas.space.search_space import Parameter, SearchSpace
from mlflow_nas.space.weights import SeedWeights, load_backbone_weights, load_seed_weights

__all__ = [
    "FastestDet",
    "Parameter",
    "SearchSpace",
    "SeedWeights",
    "build_detector",
    "fastestdet_head",
    "load_backbone_weights",
    "load_seed_weights",
]

"""Search spaces as data, and the detectors that they build."""

from mlflow_nas.space.fastestdet import fastestdet_head
from mlflow_nas.space.network import FastestDet, build_detector
from mlflow_nas.space.search_space import Parameter, SearchSpace
from mlflow_nas.space.weights import (
    BackboneWeights,
    SeedWeights,
    load_backbone_weights,
    load_seed_weights,
    save_weights,
)

__all__ = [
    "BackboneWeights",
    "FastestDet",
    "Parameter",
    "SearchSpace",
    "SeedWeights",
    "build_detector",
    "fastestdet_head",
    "load_backbone_weights",
    "load_seed_weights",
    "save_weights",
]

"""Search spaces as data, and the detectors that they build."""

from mlflow_nas.space.backbone import ShuffleNetBackbone
from mlflow_nas.space.build import build_detector, is_whole, keeps_backbone
from mlflow_nas.space.catalogue import SPACES, load_space
from mlflow_nas.space.fastestdet import fastestdet_head, seed_head
from mlflow_nas.space.narrow import narrow, read_architecture
from mlflow_nas.space.network import FastestDet
from mlflow_nas.space.parameter import Parameter, Value
from mlflow_nas.space.published import COCO_CLASSES
from mlflow_nas.space.search_space import SearchSpace, input_size
from mlflow_nas.space.weights import (
    BackboneWeights,
    SeedWeights,
    load_backbone_weights,
    load_seed_weights,
    save_weights,
)

__all__ = [
    "COCO_CLASSES",
    "SPACES",
    "BackboneWeights",
    "FastestDet",
    "Parameter",
    "SearchSpace",
    "SeedWeights",
    "ShuffleNetBackbone",
    "Value",
    "build_detector",
    "fastestdet_head",
    "input_size",
    "is_whole",
    "keeps_backbone",
    "load_backbone_weights",
    "load_seed_weights",
    "load_space",
    "narrow",
    "read_architecture",
    "save_weights",
    "seed_head",
]

"""Search spaces as data, and the networks that they build."""

from mlflow_nas.space.build import build_detector, is_whole, keeps_trunk, part_at, single_changes
from mlflow_nas.space.catalogue import SPACES, load_space, run_file
from mlflow_nas.space.elastic import elastic
from mlflow_nas.space.fastestdet import (
    COCO_CLASSES,
    PUBLISHED_IMG_WIDTH,
    FastestDet,
    LossTerms,
    ShuffleNetBackbone,
    TeacherTargets,
    boxes_of_cells,
    detection_loss,
    distillation_loss,
    siou,
    slice_weights,
)
from mlflow_nas.space.fastestdet.spaces import OUTPUT_BRANCHES, fastestdet_head, seed_head
from mlflow_nas.space.height import open_space, with_height
from mlflow_nas.space.narrow import narrow, read_architecture
from mlflow_nas.space.parameter import Parameter, Value
from mlflow_nas.space.search_space import INPUT_SIZES, SearchSpace, Transfer, input_size, transfer_same
from mlflow_nas.space.sharing import NetworkWeights, SharedWeights
from mlflow_nas.space.weights import (
    BackboneWeights,
    SeedWeights,
    load_backbone_weights,
    load_seed_weights,
    save_weights,
    state_digest,
)

__all__ = [
    "COCO_CLASSES",
    "INPUT_SIZES",
    "OUTPUT_BRANCHES",
    "PUBLISHED_IMG_WIDTH",
    "SPACES",
    "BackboneWeights",
    "FastestDet",
    "LossTerms",
    "NetworkWeights",
    "Parameter",
    "SearchSpace",
    "SeedWeights",
    "SharedWeights",
    "ShuffleNetBackbone",
    "TeacherTargets",
    "Transfer",
    "Value",
    "boxes_of_cells",
    "build_detector",
    "detection_loss",
    "distillation_loss",
    "elastic",
    "fastestdet_head",
    "input_size",
    "is_whole",
    "keeps_trunk",
    "load_backbone_weights",
    "load_seed_weights",
    "load_space",
    "narrow",
    "open_space",
    "part_at",
    "read_architecture",
    "run_file",
    "save_weights",
    "seed_head",
    "single_changes",
    "siou",
    "slice_weights",
    "state_digest",
    "transfer_same",
    "with_height",
]

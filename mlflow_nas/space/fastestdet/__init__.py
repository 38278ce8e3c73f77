"""FastestDet, the network that the product ships: backbone, neck, head, loss and published weights."""

from mlflow_nas.space.fastestdet.backbone import STAGE_DEPTHS, STAGE_WIDTHS, ShuffleNetBackbone
from mlflow_nas.space.fastestdet.blocks import depthwise, pointwise
from mlflow_nas.space.fastestdet.cells import boxes_of_cells
from mlflow_nas.space.fastestdet.distillation import TeacherTargets, distillation_loss
from mlflow_nas.space.fastestdet.head import DetectionHead
from mlflow_nas.space.fastestdet.loss import LossTerms, detection_loss
from mlflow_nas.space.fastestdet.neck import SppNeck
from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.fastestdet.published import COCO_CLASSES, PUBLISHED_IMG_WIDTH, from_published
from mlflow_nas.space.fastestdet.siou import siou
from mlflow_nas.space.fastestdet.transfer import slice_weights

__all__ = [
    "COCO_CLASSES",
    "PUBLISHED_IMG_WIDTH",
    "STAGE_DEPTHS",
    "STAGE_WIDTHS",
    "DetectionHead",
    "FastestDet",
    "LossTerms",
    "ShuffleNetBackbone",
    "SppNeck",
    "TeacherTargets",
    "boxes_of_cells",
    "depthwise",
    "detection_loss",
    "distillation_loss",
    "from_published",
    "pointwise",
    "siou",
    "slice_weights",
]

"""Object detection: boxes of known classes in images.

Truth: float32 [m, 7] for a batch, rows of (index of the image in the batch, class, cx, cy, w, h, ignore).
Boxes are relative to the image; ignore is 1 for difficult boxes and crowds, which the metric ignores.

Answer: `Detections` of each image. Metric: COCO mAP at IoU .5:.95 (`map`) and at .5 (`map_50`), 0..1.
"""

from mlflow_nas.tasks.detection.answer import Detections, decode, image_boxes, to_boxes
from mlflow_nas.tasks.detection.bootstrap import bootstrap_map
from mlflow_nas.tasks.detection.metric import CocoMap
from mlflow_nas.tasks.detection.task import DETECTION, DetectionTask

__all__ = [
    "DETECTION",
    "CocoMap",
    "DetectionTask",
    "Detections",
    "bootstrap_map",
    "decode",
    "image_boxes",
    "to_boxes",
]

"""Tasks: ground truth, loss, metric and answers of what networks are trained for."""

from mlflow_nas.tasks.classification import CLASSIFICATION, image_classes
from mlflow_nas.tasks.detection import (
    DETECTION,
    CocoMap,
    Detections,
    bootstrap_map,
    decode,
    image_boxes,
    to_boxes,
)
from mlflow_nas.tasks.evaluate import NetworkRunner, evaluate_network, evaluate_outputs
from mlflow_nas.tasks.own_loss import checked_loss
from mlflow_nas.tasks.resampling import interval
from mlflow_nas.tasks.table import TASKS, check_output, check_truth, get_task, task_of

__all__ = [
    "CLASSIFICATION",
    "DETECTION",
    "TASKS",
    "CocoMap",
    "Detections",
    "NetworkRunner",
    "bootstrap_map",
    "check_output",
    "check_truth",
    "checked_loss",
    "decode",
    "evaluate_network",
    "evaluate_outputs",
    "get_task",
    "image_boxes",
    "image_classes",
    "interval",
    "task_of",
    "to_boxes",
]

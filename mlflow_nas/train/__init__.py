"""Training one detector with Lightning, decoding what it says and measuring how right it is."""

from mlflow_nas.train.decode import Detections, decode
from mlflow_nas.train.distillation import Teacher
from mlflow_nas.train.evaluate import (
    Detector,
    NetworkDetector,
    evaluate_detector,
    evaluate_network,
    photo_boxes,
    predict_boxes,
)
from mlflow_nas.train.fit import Fitted, fit
from mlflow_nas.train.loss import detection_loss
from mlflow_nas.train.metric import CocoMap
from mlflow_nas.train.module import DetectorModule
from mlflow_nas.train.processor import training_processor
from mlflow_nas.train.recipe import Freeze, Recipe, RecipeName, fine_tuning, named_recipe, published

__all__ = [
    "CocoMap",
    "Detections",
    "Detector",
    "DetectorModule",
    "Fitted",
    "Freeze",
    "NetworkDetector",
    "Recipe",
    "RecipeName",
    "Teacher",
    "decode",
    "detection_loss",
    "evaluate_detector",
    "evaluate_network",
    "fine_tuning",
    "fit",
    "named_recipe",
    "photo_boxes",
    "predict_boxes",
    "published",
    "training_processor",
]

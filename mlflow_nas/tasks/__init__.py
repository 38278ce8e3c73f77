"""Tasks: ground truth, metric and predictions of what networks are trained for."""

from mlflow_nas.tasks.detection import (
    CocoMap,
    Detections,
    Detector,
    NetworkDetector,
    bootstrap_map,
    decode,
    describe_output,
    evaluate_detector,
    evaluate_network,
    image_boxes,
    interval,
    predict_boxes,
)

__all__ = [
    "CocoMap",
    "Detections",
    "Detector",
    "NetworkDetector",
    "bootstrap_map",
    "decode",
    "describe_output",
    "evaluate_detector",
    "evaluate_network",
    "image_boxes",
    "interval",
    "predict_boxes",
]

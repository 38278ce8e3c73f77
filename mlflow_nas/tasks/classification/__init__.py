"""Image classification: one class of an image.

Truth: as of detection, with one box an image, which is the whole image. Answer: classes with probabilities.
Metric: share of the images whose class has the largest score (`top1`).
"""

from mlflow_nas.tasks.classification.metric import TopOne, image_classes
from mlflow_nas.tasks.classification.task import CLASSIFICATION, ClassificationTask

__all__ = ["CLASSIFICATION", "ClassificationTask", "TopOne", "image_classes"]

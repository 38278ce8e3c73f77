"""MobileNetV3-Small as a search space of image classifiers: width and resolution, judged by top-1.

    mlflow_nas search --space examples/mobilenet_classifier.py:SPACE --data folder:DATA --classes ants,bees

A classifier needs no loss of its own: the task's is cross entropy.
"""

from torch import nn
from torchvision.models import mobilenet_v3_small

from mlflow_nas.space import Parameter, SearchSpace
from mlflow_nas.types import Architecture


def build(architecture: Architecture, num_classes: int) -> nn.Module:
    """Torchvision's network, whose logits [b, N] are what the task expects."""
    return mobilenet_v3_small(num_classes=num_classes, width_mult=int(architecture["width"]) / 100)


SPACE = SearchSpace(
    name="mobilenet-classifier",
    task="classification",
    parameters={
        "width": Parameter(short="p", values=(25, 50, 75, 100)),  # percent
        "img_width": Parameter(short="w", values=(96, 128, 160, 192, 224)),
    },
    baseline={"width": 100, "img_width": 224},
    build=build,
)

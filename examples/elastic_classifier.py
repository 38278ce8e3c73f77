"""A torchvision classifier as a search space in five lines; `weights=` starts from ImageNet's."""

from torchvision.models import mobilenet_v3_small

from mlflow_nas.space import elastic

MODEL = mobilenet_v3_small()
SPACE = elastic(MODEL, task="classification", channels=(25, 50, 75), depth=(50,), img_width=(96, 160, 224))

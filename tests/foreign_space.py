"""Networks that are no FastestDet, so small that a trial takes seconds; tests name them as a user's file.

Shapes: b batch, H x W input, N classes.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from mlflow_nas.space import Parameter, SearchSpace
from mlflow_nas.types import Architecture

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))

from anchor_free import AnchorFree  # noqa: E402 - of the folder above

__all__ = [
    "CLASSIFIER",
    "DETECTOR",
    "EXAMPLES",
    "classifier_space",
    "detector_space",
    "faulty_space",
]


class Classifier(nn.Module):
    """Two convolutions and a linear layer, without a loss of its own."""

    def __init__(self, num_classes: int, *, width: int) -> None:
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, width, 4, 4), nn.BatchNorm2d(width), nn.Hardswish(inplace=True),
            nn.Conv2d(width, width, 3, 2), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
        )  # fmt: skip
        self.last = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] -> [b, N]."""
        logits: Tensor = self.last(self.backbone(images).mean(dim=(2, 3)))
        return logits


class Faulty(AnchorFree):
    """A detector with one fault."""

    def __init__(self, num_classes: int, fault: str) -> None:
        super().__init__(num_classes + (fault == "classes"), width=8, depth=0)
        self.fault = fault
        self.spare = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        """As the fault says."""
        output = super().forward(images)
        if self.fault == "tuple":
            return output, output  # type: ignore[return-value]
        if self.fault == "raises":
            raise ValueError("the pyramid has an odd level")
        if self.fault == "export":
            return output + 1 if output.sum() > 1e9 else output  # a branch on values can't be traced
        return output.flatten(1) if self.fault == "shape" else output

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """As the fault says."""
        loss = super().loss(images, targets)
        match self.fault:
            case "nan":
                return loss * float("nan")
            case "detached":
                return loss.detach()
            case "vector":
                return loss.expand(3)
        return loss


def detector_space() -> SearchSpace:
    """Anchor-free detectors of three scales: 4 architectures."""

    def build(architecture: Architecture, num_classes: int) -> nn.Module:
        return AnchorFree(num_classes, width=int(architecture["width"]), depth=0)

    return SearchSpace(
        name="foreign",
        parameters={
            "width": Parameter(short="c", values=(4, 8)),
            "img_width": Parameter(short="w", values=(64, 96)),
        },
        baseline={"width": 8, "img_width": 96},
        build=build,
    )


def classifier_space() -> SearchSpace:
    """Classifiers: 4 architectures."""

    def build(architecture: Architecture, num_classes: int) -> nn.Module:
        return Classifier(num_classes, width=int(architecture["width"]))

    return SearchSpace(
        name="classifiers",
        task="classification",
        parameters={
            "width": Parameter(short="c", values=(8, 16)),
            "img_width": Parameter(short="w", values=(32, 48)),
        },
        baseline={"width": 16, "img_width": 48},
        build=build,
    )


FAULTS = ("classes", "tuple", "raises", "export", "shape", "nan", "detached", "vector", "none")


def faulty_space() -> SearchSpace:
    """A detector for each fault."""
    return SearchSpace(
        name="faulty",
        parameters={"fault": Parameter(short="f", values=FAULTS)},
        baseline={"fault": "none"},
        build=lambda architecture, num_classes: Faulty(num_classes, str(architecture["fault"])),
        img_width=64,
    )


DETECTOR = f"{Path(__file__)}:detector_space"
CLASSIFIER = f"{Path(__file__)}:classifier_space"

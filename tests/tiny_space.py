"""A search space of detectors so small that a whole trial takes seconds; tests name it as a user's file.

Shapes: b batch, H x W input.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.space import (
    Parameter,
    SearchSpace,
    TeacherTargets,
    detection_loss,
    distillation_loss,
    transfer_same,
)
from mlflow_nas.types import Architecture

__all__ = ["NAME", "SPACE", "TinyDetector", "tiny_space"]


class _Backbone(nn.Module):
    """Features at two scales; the same in all architectures."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(nn.Conv2d(3, 4, 8, 8, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """[b, 3, H, W] -> [b, 4, H/8, W/8], [b, 8, H/16, W/16]."""
        stride8 = self.conv1(images)
        return stride8, self.stage2(stride8)


class TinyDetector(nn.Module):
    """A detector of one class, of the layout "cells".

    Args:
        channels: of its only hidden layer.
        kernel_size: of that layer.
    """

    def __init__(self, *, channels: int, kernel_size: int) -> None:
        super().__init__()
        self.backbone = _Backbone()
        self.head = nn.Sequential(
            nn.Conv2d(12, channels, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 5, 1, bias=False),
            nn.BatchNorm2d(5),
        )

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, None]:
        """[b, 3, H, W] -> objectness logits [b, 1, H/16, W/16], box terms [b, 4, H/16, W/16]."""
        stride8, stride16 = self.backbone(images)
        terms = self.head(torch.cat([F.avg_pool2d(stride8, 2), stride16], dim=1))
        return terms[:, :1], terms[:, 1:], None

    def loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """FastestDet's, of targets [m, 7]."""
        return detection_loss(self.raw(images), targets).total

    def distilled_loss(self, images: Tensor, targets: Tensor, soft: TeacherTargets, weight: float) -> Tensor:
        """FastestDet's."""
        raw = self.raw(images)
        return detection_loss(raw, targets).total + weight * distillation_loss(raw, soft)

    def forward(self, images: Tensor) -> Tensor:
        """[b, 3, H, W] -> [b, 5, H/16, W/16]."""
        objectness, box, _ = self.raw(images)
        return torch.cat([objectness.sigmoid(), box], dim=1)


def _build(architecture: Architecture, _num_classes: int) -> Any:
    return TinyDetector(channels=int(architecture["channels"]), kernel_size=int(architecture["kernel_size"]))


def tiny_space() -> SearchSpace:
    """Channels, kernel size and input width: 18 architectures; the baseline is the largest."""
    return SearchSpace(
        name="tiny",
        parameters={
            "channels": Parameter(short="c", values=(8, 16, 24), acts_on=("head",)),
            "kernel_size": Parameter(short="k", values=(1, 3), acts_on=("head",)),
            "img_width": Parameter(short="w", values=(64, 96, 128)),
        },
        baseline={"channels": 24, "kernel_size": 3, "img_width": 128},
        build=_build,
        transfer=transfer_same,
        trunk="backbone",
        stem="backbone.conv1",
        caches_trunk=True,
    )


SPACE = tiny_space()
NAME = f"{Path(__file__)}:SPACE"

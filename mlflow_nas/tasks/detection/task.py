"""Object detection as a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from mlflow_nas.data import Truth
from mlflow_nas.networks import TASK_METRICS, Layout, LayoutKind
from mlflow_nas.tasks.detection.answer import describe_output, image_boxes
from mlflow_nas.tasks.detection.bootstrap import bootstrap_map
from mlflow_nas.tasks.detection.metric import CocoMap
from mlflow_nas.tasks.own_loss import own_loss

__all__ = ["DETECTION", "DetectionTask"]

_DRAWN_THRESHOLD = 0.3


@dataclass(frozen=True, slots=True)
class DetectionTask:
    """Boxes of known classes: `networks.Task` of detectors, whose loss is their own."""

    name: str = "detection"
    metrics: tuple[str, ...] = TASK_METRICS["detection"]
    truth: Truth = "boxes"
    output: str = "detections"
    layouts: tuple[LayoutKind, ...] = ("boxes", "cells")
    expected: str = "[b, n, 4 + N]: corners x1, y1, x2, y2 in 0..1, then a score per class"

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """That of the network."""
        return own_loss(network, images, targets)

    def meter(self) -> CocoMap:
        """COCO mAP."""
        return CocoMap()

    def bootstrap(self, record: Path, *, copies: int) -> NDArray[np.float64]:
        """MAP over draws of the images."""
        return bootstrap_map(record, copies=copies)

    def answer(
        self, output: NDArray[np.float32], size: tuple[int, int], names: Sequence[str], *, threshold: float
    ) -> dict[str, Any]:
        """Boxes (xyxy, pixels of the image), scores and classes, the best first."""
        found = image_boxes(output, size, score_threshold=threshold)
        return {
            "boxes": found.boxes.tolist(),
            "scores": found.scores.tolist(),
            "classes": [names[label] for label in found.labels.tolist()],
        }

    def drawn(
        self, output: NDArray[np.float32], size: tuple[int, int], names: Sequence[str]
    ) -> tuple[NDArray[np.float32], list[str]]:
        """The boxes, each with class and score."""
        found = self.answer(output, size, names, threshold=_DRAWN_THRESHOLD)
        labels = [
            f"{name} {score:.2f}" for name, score in zip(found["classes"], found["scores"], strict=True)
        ]
        return np.array(found["boxes"], dtype=np.float32).reshape(-1, 4), labels

    def describe_output(self, layout: Layout, *, threshold: float) -> dict[str, object]:
        """Decoding, score and suppression."""
        return describe_output(layout, score_threshold=threshold)


DETECTION = DetectionTask()

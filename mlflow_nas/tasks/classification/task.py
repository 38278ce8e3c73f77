"""Image classification as a task."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.data import Truth
from mlflow_nas.networks import TASK_METRICS, Layout, LayoutKind
from mlflow_nas.tasks.classification.metric import TopOne, hits_of, image_classes
from mlflow_nas.tasks.own_loss import checked_loss, own_loss
from mlflow_nas.tasks.resampling import drawn_images

__all__ = ["CLASSIFICATION", "ClassificationTask"]

_SMOOTHING = 0.1


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """One class of an image: `networks.Task` of classifiers."""

    name: str = "classification"
    metrics: tuple[str, ...] = TASK_METRICS["classification"]
    truth: Truth = "classes"
    output: str = "logits"
    layouts: tuple[LayoutKind, ...] = ("scores",)
    expected: str = "[b, N]: a logit per class"

    def loss(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The network's where it has one, else cross entropy with smoothed labels (arXiv:1512.00567)."""
        classes = image_classes(targets, len(images))
        if hasattr(network, "loss"):
            return own_loss(network, images, classes)
        return checked_loss(F.cross_entropy(network(images), classes, label_smoothing=_SMOOTHING), network)

    def meter(self) -> TopOne:
        """Top-1 accuracy."""
        return TopOne()

    def bootstrap(self, record: Path, *, copies: int) -> NDArray[np.float64]:
        """Top-1 over draws of the images."""
        hits = hits_of(record)
        share: NDArray[np.float64] = hits[drawn_images(len(hits), copies=copies)].mean(axis=1)
        return share

    def answer(
        self,
        output: NDArray[np.float32],
        size: tuple[int, int],  # noqa: ARG002 - of the protocol
        names: Sequence[str],
        *,
        threshold: float,
    ) -> dict[str, Any]:
        """Classes and their probabilities, the best first; the best one whatever its probability."""
        powers = np.exp(output - output.max())
        shares = powers / powers.sum()
        order = np.argsort(-shares, kind="stable")
        kept = [index for place, index in enumerate(order) if place == 0 or shares[index] >= threshold]
        return {"classes": [names[index] for index in kept], "scores": [float(shares[one]) for one in kept]}

    def drawn(
        self, output: NDArray[np.float32], size: tuple[int, int], names: Sequence[str]
    ) -> tuple[NDArray[np.float32], list[str]]:
        """The whole image with its class and probability."""
        found = self.answer(output, size, names, threshold=1.0)
        box = np.array([[0, 0, size[1], size[0]]], dtype=np.float32)
        return box, [f"{found['classes'][0]} {found['scores'][0]:.2f}"]

    def describe_output(self, layout: Layout, *, threshold: float) -> dict[str, object]:
        """Logits, and their softmax as score."""
        return {
            "task": self.name,
            "dtype": "float32",
            "layout": "[1, classes]",
            "channels": ["class"] * layout.num_classes,
            "score": "softmax over the classes",
            "score_threshold": threshold,
        }


CLASSIFICATION = ClassificationTask()

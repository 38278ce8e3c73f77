"""COCO mAP of a detector: a network in torch, or an int8 file in ONNX Runtime."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas.data import Batch, DetectionDataModule, resize_image
from mlflow_nas.tasks.detection.answer import Detections, decode, image_boxes
from mlflow_nas.tasks.detection.metric import CocoMap

__all__ = [
    "Detector",
    "NetworkDetector",
    "evaluate_detector",
    "evaluate_network",
    "predict_boxes",
]

Detector = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""float32 [b, 3, H, W] in 0..1 -> float32 [b, 5 + N, h, w]."""


class NetworkDetector:
    """Runs a network in torch on the CPU, in eval mode."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network.cpu().eval()

    def __call__(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [b, 3, H, W] in 0..1 -> float32 [b, 5 + N, h, w]."""
        with torch.inference_mode():
            output: NDArray[np.float32] = self._network(torch.from_numpy(images)).numpy()
        return output


def evaluate_detector(
    detector: Detector,
    batches: Iterable[Batch],
    *,
    classes: Sequence[int] | None = None,
    record: Path | None = None,
) -> dict[str, float]:
    """COCO mAP of a detector over a split: {"map": 0..1, "map_50": 0..1}.

    Args:
        detector: runs the network.
        batches: the split.
        classes: for each class of the split the detector's index of it; None where both have the same.
        record: file that receives detections and truth (`CocoMap.save`); None for none.
    """
    metric = CocoMap()
    for batch in batches:
        output = torch.from_numpy(detector(batch.images.numpy()))
        metric.update(decode(output, classes=classes), batch.targets, batch.sizes)
    if record is not None:
        metric.save(record)
    return metric.compute()


def evaluate_network(
    network: nn.Module, data: DetectionDataModule, *, classes: Sequence[int] | None = None
) -> dict[str, float]:
    """COCO mAP of a trained network on the validation split with its augmentations, computed on the CPU.

    Args:
        network: trained.
        data: the splits at its input size.
        classes: for each class of the split the network's index of it; None where both have the same.

    Returns:
        {"map_fp32": 0..1, "map_50_fp32": 0..1}.
    """
    accuracy = evaluate_detector(NetworkDetector(network), data.batches("val"), classes=classes)
    return {f"{name}_fp32": value for name, value in accuracy.items()}


def predict_boxes(
    detector: Detector, image: NDArray[np.uint8], *, img_size: tuple[int, int], score_threshold: float = 0.3
) -> Detections:
    """Detections in one image [h, w, 3], boxes in its own pixels and clipped to it.

    Args:
        detector: runs the network.
        image: RGB.
        img_size: the network's input (height, width), pixels.
        score_threshold: lower scores are dropped.
    """
    output = detector(resize_image(image, img_size)[np.newaxis])
    return image_boxes(output[0], (image.shape[0], image.shape[1]), score_threshold=score_threshold)

"""Detections of a deployed model in images."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.deployments.inputs import read_images
from mlflow_nas.deployments.manifest import THRESHOLD
from mlflow_nas.types import Device

__all__ = ["predict"]

IMAGES_PER_CALL = 16
"""16 images of 352 x 352 are 24 MB."""


def predict(device: Device, name: str, inputs: Any) -> list[dict[str, Any]]:
    """Detect on the device.

    Args:
        device: of the inventory.
        name: of the deployment.
        inputs: images, as `read_images` takes them.

    Returns:
        One mapping per image: boxes (xyxy, its own pixels), scores, classes.

    Raises:
        ConfigError: there is no such deployment, or an input is no image.
        BoardError: the device can't be reached, or its file is damaged.
    """
    images = read_images(inputs)
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        manifest = models.get(name).manifest
        outputs = _outputs(models, name, images, manifest["input_size"])
        return [_detections(output, image, manifest) for output, image in zip(outputs, images, strict=True)]


def _outputs(
    models: DeployedModels, name: str, images: Sequence[NDArray[np.uint8]], input_size: Sequence[int]
) -> Iterator[NDArray[np.float32]]:
    """The network's output for each image, float32 [5 + N, h, w]."""
    from mlflow_nas.data import resize_image

    height, width = input_size
    for start in range(0, len(images), IMAGES_PER_CALL):
        part = images[start : start + IMAGES_PER_CALL]
        yield from models.infer(name, np.stack([resize_image(one, (height, width)) for one in part]))


def _detections(
    output: NDArray[np.float32], image: NDArray[np.uint8], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    from mlflow_nas.tasks import image_boxes

    height, width = image.shape[:2]
    threshold = manifest.get("output", {}).get("score_threshold", THRESHOLD)
    found = image_boxes(output, (height, width), score_threshold=threshold)
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": [manifest["classes"][label] for label in found.labels.tolist()],
    }

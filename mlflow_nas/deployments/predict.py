"""Photographs in, detections of a deployed model out."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.deployments.photographs import as_photographs
from mlflow_nas.types import Device

__all__ = ["predict"]

SCORE_THRESHOLD = 0.3
AT_ONCE = 16
"""Photographs per call of the device: 16 of 352 x 352 are 24 MB."""


def predict(device: Device, name: str, inputs: Any) -> list[dict[str, Any]]:
    """Detect on the device.

    Args:
        device: of the inventory.
        name: of the deployment.
        inputs: photographs, as `as_photographs` takes them.

    Returns:
        One mapping per photograph: boxes (xyxy, its own pixels), scores, classes.

    Raises:
        ConfigError: nothing is deployed under the name, or an input is no photograph.
        BoardError: the device can't be reached, or its file is damaged.
    """
    photographs = as_photographs(inputs)
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        manifest = models.get(name)
        outputs = _outputs(models, name, photographs, manifest["input_size"])
        return [
            _detections(output, photograph, manifest)
            for output, photograph in zip(outputs, photographs, strict=True)
        ]


def _outputs(
    models: DeployedModels, name: str, photographs: Sequence[NDArray[np.uint8]], input_size: Sequence[int]
) -> Iterator[NDArray[np.float32]]:
    """What the network says of each photograph, float32 [5 + N, h, w]."""
    from mlflow_nas.data import resize_image

    height, width = input_size
    for start in range(0, len(photographs), AT_ONCE):
        part = photographs[start : start + AT_ONCE]
        yield from models.infer(name, np.stack([resize_image(one, (height, width)) for one in part]))


def _detections(
    output: NDArray[np.float32], photograph: NDArray[np.uint8], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    from mlflow_nas.train import photo_boxes

    height, width = photograph.shape[:2]
    found = photo_boxes(output, (height, width), score_threshold=SCORE_THRESHOLD)
    return {
        "boxes": found.boxes.tolist(),
        "scores": found.scores.tolist(),
        "classes": [manifest["classes"][label] for label in found.labels.tolist()],
    }

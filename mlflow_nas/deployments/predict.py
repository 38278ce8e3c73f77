"""Answers of a deployed model for images."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.deployments.inputs import read_images
from mlflow_nas.errors import BoardError
from mlflow_nas.networks import THRESHOLD, read_layout
from mlflow_nas.types import Device

__all__ = ["predict"]

IMAGES_PER_CALL = 16
"""16 images of 352 x 352 are 24 MB."""


def predict(
    device: Device, name: str, inputs: Any, *, on_step: Callable[[str], None] = lambda _step: None
) -> list[dict[str, Any]]:
    """Run the deployed model on the device.

    Args:
        device: of the inventory.
        name: of the deployment.
        inputs: images, as `read_images` takes them.
        on_step: called with the name of each step.

    Returns:
        One mapping per image: scores and classes; of a detector also boxes (xyxy, its own pixels).

    Raises:
        ConfigError: there is no such deployment, or an input is no image.
        BoardError: the device can't be reached, or its file is damaged.
    """
    images = read_images(inputs)
    on_step(f"open {name} on {device.name}")
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        manifest = models.get(name).manifest
        on_step(f"run {len(images)} images on {device.name}")
        outputs = _outputs(models, name, images, manifest["input_size"])
        return [_answer(output, image, manifest) for output, image in zip(outputs, images, strict=True)]


def _outputs(
    models: DeployedModels, name: str, images: Sequence[NDArray[np.uint8]], input_size: Sequence[int]
) -> Iterator[NDArray[np.float32]]:
    """The network's output for each image, without the batch."""
    from mlflow_nas.data import resize_image

    height, width = input_size
    for start in range(0, len(images), IMAGES_PER_CALL):
        part = images[start : start + IMAGES_PER_CALL]
        yield from models.infer(name, np.stack([resize_image(one, (height, width)) for one in part]))


def _answer(
    output: NDArray[np.float32], image: NDArray[np.uint8], manifest: Mapping[str, Any]
) -> dict[str, Any]:
    from mlflow_nas.tasks import task_of

    layout = read_layout((1, *output.shape))
    if layout is None:
        raise BoardError(
            f"The deployed file gives {list(output.shape)} for an image, no detections or classes: deploy it "
            "again."
        )
    threshold = manifest.get("output", {}).get("score_threshold", THRESHOLD)
    size = (image.shape[0], image.shape[1])
    return task_of(layout).answer(output, size, manifest["classes"], threshold=threshold)

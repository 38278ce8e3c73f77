"""Photographs in, detections of a deployed model out."""

import base64
import binascii
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd

from mlflow_nas.board import DeployedModels, get_board
from mlflow_nas.errors import ConfigError
from mlflow_nas.types import Device

__all__ = ["predict"]

SCORE_THRESHOLD = 0.3


def predict(device: Device, name: str, inputs: Any) -> list[dict[str, Any]]:
    """Detect on the device.

    Args:
        device: of the inventory.
        name: of the deployment.
        inputs: a DataFrame with a column `image`: paths, or JPEG or PNG files in base64.

    Returns:
        One mapping per image: boxes (xyxy, pixels of the photograph), scores, classes.

    Raises:
        ConfigError: nothing is deployed under the name, or an input is no image.
        BoardError: the device can't be reached, or its file is damaged.
    """
    with closing(get_board(device)) as board:
        models = DeployedModels(board)
        manifest = models.get(name)
        return [_detect(models, name, manifest, image) for image in _images(inputs)]


def _detect(models: DeployedModels, name: str, manifest: Mapping[str, Any], image: str) -> dict[str, Any]:
    from mlflow_nas.data import read_image
    from mlflow_nas.train import predict_boxes

    with tempfile.TemporaryDirectory() as folder:
        pixels = read_image(_as_file(image, Path(folder)))
    height, width = manifest["input_size"]
    detections = predict_boxes(
        lambda batch: models.infer(name, batch),
        pixels,
        img_size=(height, width),
        score_threshold=SCORE_THRESHOLD,
    )
    classes = manifest["classes"]
    return {
        "boxes": detections.boxes.tolist(),
        "scores": detections.scores.tolist(),
        "classes": [classes[label] for label in detections.labels.tolist()],
    }


def _images(inputs: Any) -> list[str]:
    frame = inputs if isinstance(inputs, pd.DataFrame) else pd.DataFrame(inputs)
    if "image" not in frame.columns:
        raise ConfigError(
            f"The input has the columns {list(frame.columns)}: give a column `image` of paths or base64."
        )
    return [str(image) for image in frame["image"]]


def _as_file(image: str, folder: Path) -> Path:
    """The path itself, or a file with the decoded base64."""
    if len(image) < 4096 and Path(image).is_file():
        return Path(image)
    try:
        content = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{image[:80]!r} is neither an image file nor base64.") from None
    file = folder / "image"
    file.write_bytes(content)
    return file

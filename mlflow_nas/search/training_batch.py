"""A training batch as the network sees it, drawn once per study."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data import Batch
from mlflow_nas.report import draw_boxes
from mlflow_nas.search.session import Session

__all__ = ["log_training_batch"]

_FILE, _LOGGED = "training_batch.png", "nas.training_batch"
_IMAGES = 8


def log_training_batch(session: Session) -> None:
    """Log the first augmented training images with their boxes, unless an earlier call has."""
    if session.store.value(_LOGGED):
        return
    context = session.context
    batch = next(context.data(context.space.baseline).batches("train"))
    with tempfile.TemporaryDirectory() as folder:
        drawn = list(_images(batch, context.train.classes))
        session.mirror.log_artifact(None, draw_boxes(drawn, Path(folder) / _FILE))
    session.store.keep(_LOGGED, value=True)


def _images(
    batch: Batch, classes: tuple[str, ...]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], list[str]]]:
    """Pixels, boxes in pixels, and labels of each image."""
    height, width = batch.images.shape[2:]
    for index, image in enumerate(batch.images[:_IMAGES]):
        own = batch.targets[batch.targets[:, 0] == index].numpy()
        corners = np.concatenate([own[:, 2:4] - own[:, 4:6] / 2, own[:, 2:4] + own[:, 4:6] / 2], axis=1)
        boxes = corners * np.array([width, height, width, height], dtype=np.float32)
        labels = [
            classes[int(label)] + (" (ignored)" if ignore else "")
            for label, ignore in zip(own[:, 1], own[:, 6], strict=True)
        ]
        yield (image * 255).round().byte().permute(1, 2, 0).numpy(), boxes, labels

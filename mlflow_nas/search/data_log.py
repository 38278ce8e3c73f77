"""What a study's run says of its data."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlflow_nas.data import Batch
from mlflow_nas.report import draw_boxes
from mlflow_nas.search.book import StudyBook
from mlflow_nas.search.workbench import Workbench
from mlflow_nas.tracking import has_file, log_dataset, log_file

__all__ = ["TRAINING_BATCH", "log_data"]

TRAINING_BATCH = "training_batch.png"
_PICTURES = 8


def log_data(bench: Workbench, book: StudyBook) -> None:
    """Link the data sets, count the images that were skipped, and show a training batch, once per study.

    Raises:
        RegistryError: MLflow does not answer.
    """
    splits = {"training": bench.train, "validation": bench.val, "test": bench.test}
    for context, split in splits.items():
        if split is not None:
            log_dataset(book.client, book.parent_id, split, context=context)
    book.note({"nas.skipped_images": str(bench.skipped)})
    if not has_file(book.client, book.parent_id, TRAINING_BATCH):
        with tempfile.TemporaryDirectory() as folder:
            batch = next(bench.data(bench.space.baseline).batches("train"))
            picture = draw_boxes(list(_pictures(batch, bench)), Path(folder) / TRAINING_BATCH)
            log_file(book.client, book.parent_id, picture)


def _pictures(
    batch: Batch, bench: Workbench
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], list[str]]]:
    """The first images of a batch as the network sees them, augmented, with their boxes."""
    height, width = batch.images.shape[2:]
    for index, image in enumerate(batch.images[:_PICTURES]):
        own = batch.targets[batch.targets[:, 0] == index].numpy()
        corners = np.concatenate([own[:, 2:4] - own[:, 4:6] / 2, own[:, 2:4] + own[:, 4:6] / 2], axis=1)
        boxes = corners * np.array([width, height, width, height], dtype=np.float32)
        words = [
            bench.train.classes[int(label)] + (" (ignored)" if ignore else "")
            for label, ignore in zip(own[:, 1], own[:, 6], strict=True)
        ]
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        yield pixels, boxes, words

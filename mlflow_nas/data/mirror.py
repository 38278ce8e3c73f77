"""A split and its mirror image: the same photographs measure a detector twice."""

from dataclasses import dataclass, replace

import numpy as np

from mlflow_nas.data.dataset import DetectionDataset, ImageSource, Record
from mlflow_nas.data.sample import ByteImage, ImageSize

__all__ = ["with_mirror_images"]


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """An image, left and right exchanged."""

    source: ImageSource

    @property
    def size(self) -> ImageSize:
        return self.source.size

    def read(self) -> ByteImage:
        return np.ascontiguousarray(self.source.read()[:, ::-1])

    def content(self) -> bytes:
        return b"mirrored" + self.source.content()


def with_mirror_images(dataset: DetectionDataset) -> DetectionDataset:
    """All images of a data set in their order, then all mirrored; its digest is another one.

    Two detectors' mAP on it differs less by chance than on the photographs alone: what one just finds and
    another just misses has two tries.
    """
    mirrored = [_mirror(record) for record in dataset.records]
    return dataset.part([*dataset.records, *mirrored], mirrored=True)


def _mirror(record: Record) -> Record:
    width = record.source.size[1]
    left, top, right, bottom = record.boxes.reshape(-1, 4).T
    boxes = np.stack([width - right, top, width - left, bottom], axis=1).astype(np.float32)
    return replace(
        record, source=_Mirrored(record.source), boxes=boxes, image_id=f"{record.image_id} mirrored"
    )

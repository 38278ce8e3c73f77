"""The splits of a study, as runs link them."""

from typing import Literal

import numpy as np

from mlflow_nas.data import DetectionDataset
from mlflow_nas.tracking import DatasetLink
from mlflow_nas.trial import StudyContext

__all__ = ["dataset_links"]


def dataset_links(context: StudyContext) -> list[DatasetLink]:
    """The splits, as runs link them."""
    links = [_link(context.train, "training"), _link(context.val, "validation")]
    return links if context.test is None else [*links, _link(context.test, "test")]


def _link(split: DetectionDataset, name: Literal["training", "validation", "test"]) -> DatasetLink:
    return DatasetLink(
        name=split.name,
        digest=split.digest,
        uri=split.uri,
        context=name,
        images=len(split),
        boxes=int(np.sum([len(record.boxes) for record in split.records])),
    )

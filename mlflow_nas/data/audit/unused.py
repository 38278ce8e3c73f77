"""Files beside those that are used: images in no split, labels of no image."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.findings import Findings
from mlflow_nas.data.formats.files import walk_files
from mlflow_nas.data.formats.suffixes import is_image

__all__ = ["find_unused"]

_LABEL_SUFFIX = ".txt"
_LISTS = {"classes.txt", "labels.txt", "notes.txt", "readme.txt"}
"""What annotation tools write beside label files."""


def find_unused(splits: Sequence[DetectionDataset], findings: Findings) -> None:
    """Count images and label files that stand in folders of used ones, or below, and belong to no split.

    Args:
        splits: all of a data set.
        findings: receives what is found.
    """
    images = {record.path for split in splits for record in split.records if record.path}
    labels = {path for split in splits for path in split.label_files}
    skipped = {Path(name).name for split in splits for name in split.skipped}
    for path in _beside(images):
        if is_image(path) and path.name not in skipped:
            findings.add("image-unlisted", path.name, image=path)
    for path in _beside(labels):
        if path.suffix.lower() == _LABEL_SUFFIX and path.name.lower() not in _LISTS:
            findings.add("labels-without-image", f"{path.parent.name}/{path.name}")


def _beside(used: set[Path]) -> Iterable[Path]:
    """Files in the folders of the used ones, and below them, that are none of them."""
    folders = {path.parent for path in used}
    for folder in sorted(folders):
        if folders.isdisjoint(folder.parents):
            yield from (path for path in walk_files(folder) if path not in used)

"""Data sets by URI: ``synthetic``, or a reader's name and a location, such as ``coco:DIR``."""

import gc
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import get_args

from mlflow_nas.data.audit import check_classes
from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.findings import Findings
from mlflow_nas.data.formats import (
    EmptySplitError,
    Reader,
    read_class_folders,
    read_coco,
    read_voc,
    read_voc_download,
    read_yolo,
)
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.records import OnBadImage, to_records
from mlflow_nas.data.sample import Split
from mlflow_nas.data.synthetic import load_synthetic
from mlflow_nas.errors import ConfigError

__all__ = ["check_has_boxes", "load_dataset", "read_dataset", "warn_about"]

_log = logging.getLogger(__name__)
_SYNTHETIC = "synthetic"
_READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "coco": read_coco,
        "voc": read_voc,
        "yolo": read_yolo,
        "folder": read_class_folders,
        "voc-download": read_voc_download,
    }
)


def load_dataset(
    uri: str,
    split: Split = "train",
    classes: Sequence[str] = ("person",),
    *,
    on_bad_image: OnBadImage = "refuse",
) -> DetectionDataset:
    """Load a data set: decode each of its images once, refuse what makes results wrong, warn about the rest.

    Args:
        uri: ``synthetic[:train=112,val=32,test=0,seed=0,size=320]``; ``coco:DIR`` with images/, train.json
            and val.json; ``voc:DIR[?year=2012]`` with VOC2012/ in DIR; ``yolo:DIR`` with a data.yaml in DIR;
            ``folder:DIR`` with train/CLASS/IMAGE and val/CLASS/IMAGE in DIR;
            ``voc-download:2012[?root=DIR]``, which torchvision downloads.
        split: "train", "val" or "test".
        classes: names of the classes to detect; boxes of others are left out, their images stay.
        on_bad_image: refuse data with images that can't be used, or skip these.

    Raises:
        ConfigError: the URI, an option or a class is unknown, or data is missing, empty, corrupt or wrong.
    """
    dataset = read_dataset(uri, split, classes, on_bad_image=on_bad_image)
    dataset.findings.refuse(f"data {uri!r}, split {split}")
    check_has_boxes(dataset, split)
    warn_about(dataset.findings, f"data {uri!r}, split {split}", uri)
    return dataset


def read_dataset(
    uri: str, split: Split, classes: Sequence[str], *, on_bad_image: OnBadImage
) -> DetectionDataset:
    """Load a data set with its findings, also what would be refused; else as `load_dataset`."""
    if split not in get_args(Split):
        raise ConfigError(unknown_name("split", split, get_args(Split)))
    _check_classes(classes)
    scheme, _, location = uri.partition(":")
    if scheme == _SYNTHETIC:
        return load_synthetic(location, split, classes)
    if scheme not in _READERS:
        known = (_SYNTHETIC, *_READERS)
        raise ConfigError(f"data {uri!r}: {unknown_name('kind', scheme, known)}; write coco:DIR or voc:DIR")
    with _collector_paused():
        found = _READERS[scheme](location, split, classes)
    check_classes(found.classes, classes, found.findings)
    if not any(image.boxes for image in found.images):  # before an image is looked for
        found.findings.refuse(f"data {uri!r}, split {split}")
        raise _empty(found.uri, classes, split)
    with _collector_paused():
        records, skipped = to_records(found, on_bad_image=on_bad_image)
    return DetectionDataset(
        records,
        name=found.name,
        uri=found.uri,
        classes=classes,
        skipped=skipped,
        findings=found.findings,
        label_files=found.label_files,
        truth=found.truth,
    )


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without Python's cyclic collector, which would search all records again and again while they grow."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def warn_about(findings: Findings, source: str, uri: str) -> None:
    """Log all that is left out or suspicious as one line.

    Args:
        findings: of the data.
        source: the data, for the message.
        uri: of the data set.
    """
    warnings = [one.sentence for one in findings.of("warning")]
    if warnings:
        _log.warning("%s: %s. `mlflow_nas data check %s` shows them.", source, "; ".join(warnings), uri)


def check_has_boxes(dataset: DetectionDataset, split: Split) -> None:
    """Refuse a split without boxes.

    Raises:
        EmptySplitError: no box, or boxes to ignore only.
    """
    if not any((~record.ignore).any() for record in dataset.records):
        raise _empty(dataset.uri, dataset.classes, split)


def _empty(uri: str, classes: Sequence[str], split: Split) -> EmptySplitError:
    return EmptySplitError(
        f"data {uri!r}: no box of {', '.join(classes)} in split {split!r}, 1 is the least; "
        "choose other classes or annotate some images"
    )


def _check_classes(classes: Sequence[str]) -> None:
    if not classes or isinstance(classes, str):
        raise ConfigError(f"classes {classes!r}: name at least one class, such as ('person',)")
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise ConfigError(f"classes: {twice[0]!r} is named twice; name each class once")

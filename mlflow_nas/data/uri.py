"""Data sets by URI: ``synthetic``, ``coco:DIR``, ``voc:DIR``, ``yolo:DIR``, ``voc-download:YEAR``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import get_args

from mlflow_nas.data.annotations import EmptySplitError, OnBadImage, Reader, to_records
from mlflow_nas.data.coco import read_coco
from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.download import read_voc_download
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.data.synthetic import load_synthetic
from mlflow_nas.data.voc import read_voc
from mlflow_nas.data.yolo import read_yolo
from mlflow_nas.errors import ConfigError

__all__ = ["check_has_boxes", "load_dataset"]

_SYNTHETIC = "synthetic"
_READERS: Mapping[str, Reader] = MappingProxyType(
    {"coco": read_coco, "voc": read_voc, "yolo": read_yolo, "voc-download": read_voc_download}
)


def load_dataset(
    uri: str,
    split: Split = "train",
    classes: Sequence[str] = ("person",),
    *,
    on_bad_image: OnBadImage = "refuse",
) -> DetectionDataset:
    """Load a data set and decode each of its images once.

    Args:
        uri: ``synthetic[:train=112,val=32,test=0,seed=0,size=320]``; ``coco:DIR`` with images/, train.json
            and val.json; ``voc:DIR[?year=2012]`` with VOC2012/ in DIR; ``yolo:DIR`` with a data.yaml in DIR;
            ``voc-download:2012[?root=DIR]``, which torchvision downloads.
        split: "train", "val" or "test".
        classes: names of the classes to detect; boxes of others are left out, their images stay.
        on_bad_image: refuse data with images that can't be used, or skip these.

    Raises:
        ConfigError: the URI, an option or a class is unknown, or data is missing, empty or corrupt.
    """
    if split not in get_args(Split):
        raise ConfigError(unknown_name("split", split, get_args(Split)))
    _check_classes(classes)
    scheme, _, location = uri.partition(":")
    if scheme == _SYNTHETIC:
        dataset = load_synthetic(location, split, classes)
    elif scheme in _READERS:
        name, found_uri, images = _READERS[scheme](location, split, classes)
        if not any(image.boxes for image in images):  # before an image is looked for
            raise _empty(found_uri, classes, split)
        records, skipped = to_records(images, on_bad_image=on_bad_image)
        dataset = DetectionDataset(records, name=name, uri=found_uri, classes=classes, skipped=skipped)
    else:
        known = (_SYNTHETIC, *_READERS)
        raise ConfigError(f"data {uri!r}: {unknown_name('kind', scheme, known)}; write coco:DIR or voc:DIR")
    check_has_boxes(dataset, split)
    return dataset


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

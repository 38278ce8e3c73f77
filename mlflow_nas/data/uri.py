"""Data sets by URI: ``synthetic[:options]``, ``coco:DIR``, ``voc:DIR[?year=2012]``."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import get_args

from mlflow_nas.data.coco import load_coco
from mlflow_nas.data.dataset import DetectionDataset
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.data.synthetic import load_synthetic
from mlflow_nas.data.voc import load_voc
from mlflow_nas.errors import ConfigError

__all__ = ["load_dataset"]

# Each takes what follows the scheme, the split and the classes; it returns the name and the records.
_LOADERS: Mapping[str, Callable[[str, Split, Sequence[str]], DetectionDataset]] = MappingProxyType(
    {"synthetic": load_synthetic, "coco": load_coco, "voc": load_voc}
)


def load_dataset(uri: str, split: Split = "train", classes: Sequence[str] = ("person",)) -> DetectionDataset:
    """Load a data set and check that each of its images is there.

    Args:
        uri: ``synthetic[:train=160,val=48,seed=0,size=320]``; ``coco:DIR`` with images/, train.json and
            val.json; ``voc:DIR[?year=2012]`` with VOC2012/ in DIR.
        split: "train" or "val".
        classes: names of the classes to detect; boxes of others are left out, their images stay.

    Raises:
        ConfigError: the URI, an option or a class is unknown, or data is missing, empty or corrupt.
    """
    if split not in get_args(Split):
        raise ConfigError(unknown_name("split", split, get_args(Split)))
    _check_classes(classes)
    scheme, _, location = uri.partition(":")
    if scheme not in _LOADERS:
        raise ConfigError(
            f"data {uri!r}: {unknown_name('kind', scheme, _LOADERS)}; write coco:DIR or voc:DIR"
        )
    dataset = _LOADERS[scheme](location, split, classes)
    if not any((~record.ignore).any() for record in dataset.records):
        raise ConfigError(
            f"data {uri!r}: no box of {', '.join(classes)} in split {split!r}, 1 is the least; "
            "choose other classes or annotate some images"
        )
    return dataset


def _check_classes(classes: Sequence[str]) -> None:
    if not classes or isinstance(classes, str):
        raise ConfigError(f"classes {classes!r}: name at least one class, such as ('person',)")
    twice = [name for name, count in Counter(classes).items() if count > 1]
    if twice:
        raise ConfigError(f"classes: {twice[0]!r} is named twice; name each class once")

"""The splits of a study: train, val, and a test split that is reported only."""

import hashlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_nas.data.annotations import EmptySplitError, MissingSplitError, OnBadImage
from mlflow_nas.data.dataset import DetectionDataset, Record
from mlflow_nas.data.eval_augmentations import default_eval_augmentations, with_eval_augmentations
from mlflow_nas.data.sample import Split
from mlflow_nas.data.uri import check_has_boxes, load_dataset
from mlflow_nas.errors import ConfigError

__all__ = ["Splits", "load_held_out", "load_splits"]

_log = logging.getLogger(__name__)
_HASH_BYTES = 8
_HASH_END = 2.0 ** (8 * _HASH_BYTES)


class Splits(NamedTuple):
    """The parts of a data set; test is None where there is none."""

    train: DetectionDataset
    val: DetectionDataset
    test: DetectionDataset | None


def load_splits(
    uri: str,
    classes: Sequence[str],
    *,
    on_bad_image: OnBadImage = "refuse",
    test_fraction: float = 0.0,
    eval_augmentations: int | None = 1,
) -> Splits:
    """Load all splits of a data set; the other arguments are those of `load_dataset` and `load_held_out`.

    Args:
        uri: as there.
        classes: as there.
        on_bad_image: as there.
        test_fraction: as there.
        eval_augmentations: of val; None for `default_eval_augmentations`.

    Raises:
        ConfigError: as these.
    """
    train = load_dataset(uri, "train", classes, on_bad_image=on_bad_image)
    val, test = load_held_out(uri, classes, on_bad_image=on_bad_image, test_fraction=test_fraction)
    count = default_eval_augmentations(len(val)) if eval_augmentations is None else eval_augmentations
    return Splits(train, with_eval_augmentations(val, count), test)


def load_held_out(
    uri: str,
    classes: Sequence[str],
    *,
    on_bad_image: OnBadImage = "refuse",
    test_fraction: float = 0.0,
) -> tuple[DetectionDataset, DetectionDataset | None]:
    """Load val, and the test split: the data set's own where it has boxes, or a share of val.

    Args:
        uri: as in `load_dataset`.
        classes: as in `load_dataset`.
        on_bad_image: as in `load_dataset`.
        test_fraction: the share of val that becomes the test split, chosen by a hash of each image's
            content: it is the same on every machine and in every order. 0 for the data set's own test split.

    Raises:
        ConfigError: as `load_dataset`; or a share is asked for where there is a test split, or leaves a part
            without boxes.
    """
    val = load_dataset(uri, "val", classes, on_bad_image=on_bad_image)
    try:
        test = load_dataset(uri, "test", classes, on_bad_image=on_bad_image)
    except MissingSplitError as error:
        if isinstance(error, EmptySplitError):
            _log.warning("No test split is measured: %s.", error)
        return _divide(val, test_fraction) if test_fraction else (val, None)
    if test_fraction:
        raise ConfigError(
            f"data {uri!r} has a test split of its own, and data.test_fraction={test_fraction:g} would take "
            "another one from val; leave data.test_fraction out"
        )
    return val, test


def _divide(val: DetectionDataset, fraction: float) -> tuple[DetectionDataset, DetectionDataset]:
    chosen = [_is_below(record, fraction) for record in val.records]
    parts = [
        val.part([record for record, is_test in zip(val.records, chosen, strict=True) if is_test == wanted])
        for wanted in (False, True)
    ]
    names: tuple[Split, Split] = ("val", "test")
    for part, name in zip(parts, names, strict=True):
        try:
            check_has_boxes(part, name)
        except ConfigError as error:
            raise ConfigError(
                f"data.test_fraction={fraction:g} of {len(val)} images leaves {len(part)} in {name}: "
                f"{error}, or set another data.test_fraction"
            ) from error
    return parts[0], parts[1]


def _is_below(record: Record, fraction: float) -> bool:
    """Whether the image's hash, as a number in 0..1, is below the fraction."""
    start = hashlib.sha256(record.source.content()).digest()[:_HASH_BYTES]
    return int.from_bytes(start, "big") / _HASH_END < fraction

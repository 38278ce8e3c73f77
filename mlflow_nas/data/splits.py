"""The splits of a study: train, val, and a test split that is reported only."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from mlflow_nas.data.audit import compare_splits, find_unused
from mlflow_nas.data.dataset import DetectionDataset, Record
from mlflow_nas.data.eval_augmentations import default_eval_augmentations, with_eval_augmentations
from mlflow_nas.data.findings import Findings
from mlflow_nas.data.formats import EmptySplitError, MissingSplitError
from mlflow_nas.data.records import OnBadImage
from mlflow_nas.data.sample import Split
from mlflow_nas.data.uri import check_has_boxes, read_dataset, warn_about
from mlflow_nas.errors import ConfigError

__all__ = ["Splits", "audit_splits", "load_held_out", "load_splits"]

_log = logging.getLogger(__name__)
_HASH_BYTES = 8
_HASH_END = 2.0 ** (8 * _HASH_BYTES)


class Splits(NamedTuple):
    """The parts of a data set; test is None where there is none. Each has the findings of all of them."""

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
        ConfigError: as these; or images of train are in val or test.
    """
    train = _read(uri, "train", classes, on_bad_image)
    val, test = _read_held_out(uri, classes, on_bad_image=on_bad_image, test_fraction=test_fraction)
    _audit({"train": train, "val": val, "test": test}, uri)
    count = default_eval_augmentations(len(val)) if eval_augmentations is None else eval_augmentations
    return Splits(train, with_eval_augmentations(val, count), test)


def audit_splits(splits: dict[str, DetectionDataset]) -> Findings:
    """Compare splits with each other; each receives the findings of all.

    Args:
        splits: name to unaugmented split; a part of val has the findings of val.

    Returns:
        The findings of all, and between them.
    """
    findings = Findings()
    for one in {id(split.findings): split.findings for split in splits.values()}.values():
        findings.merge(one)
    compare_splits(splits, findings)
    find_unused(tuple(splits.values()), findings)
    for split in splits.values():
        split.findings = findings
    return findings


def _audit(splits: dict[str, DetectionDataset | None], uri: str) -> None:
    """Refuse what makes results wrong, and warn about the rest."""
    findings = audit_splits({name: split for name, split in splits.items() if split is not None})
    findings.refuse(f"data {uri!r}")
    warn_about(findings, f"data {uri!r}", uri)


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
    val, test = _read_held_out(uri, classes, on_bad_image=on_bad_image, test_fraction=test_fraction)
    _audit({"val": val, "test": test}, uri)
    return val, test


def _read_held_out(
    uri: str, classes: Sequence[str], *, on_bad_image: OnBadImage, test_fraction: float
) -> tuple[DetectionDataset, DetectionDataset | None]:
    val = _read(uri, "val", classes, on_bad_image)
    try:
        test = _read(uri, "test", classes, on_bad_image)
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


def _read(uri: str, split: Split, classes: Sequence[str], on_bad_image: OnBadImage) -> DetectionDataset:
    dataset = read_dataset(uri, split, classes, on_bad_image=on_bad_image)
    dataset.findings.refuse(f"data {uri!r}, split {split}")
    check_has_boxes(dataset, split)
    return dataset


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
    start = record.source.sha256()[:_HASH_BYTES]
    return int.from_bytes(start, "big") / _HASH_END < fraction

"""From annotations to checked records: each image is decoded once, each box used or counted."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from mlflow_nas.data.audit import check_boxes, check_units, drop_copies, perceptual_hash
from mlflow_nas.data.dataset import Record
from mlflow_nas.data.findings import Findings
from mlflow_nas.data.formats import AnnotatedSplit, Annotation
from mlflow_nas.data.image_files import DecodedFile, load_image
from mlflow_nas.data.sample import ImageSize
from mlflow_nas.errors import ConfigError

__all__ = ["OnBadImage", "to_records"]

OnBadImage: TypeAlias = Literal["refuse", "skip"]

_NAMED = 5
_MEMORY_BYTES = 512 * 1024**2
"""Decoded images of one split stay in memory up to this size; others are decoded again when they are read."""


def to_records(found: AnnotatedSplit, *, on_bad_image: OnBadImage) -> tuple[list[Record], tuple[str, ...]]:
    """Decode every image once, check its boxes, and leave out what can't be used; all is counted.

    Args:
        found: the images of a split; its findings receive what is left out, and why.
        on_bad_image: the treatment of images that are missing, can't be decoded or have another size than
            annotated: refuse the data set, or skip them.

    Returns:
        The records, and the ids of the images that were skipped.

    Raises:
        ConfigError: there are bad images, or nothing but bad images.
    """
    budget = _Budget(_MEMORY_BYTES)
    with ThreadPoolExecutor(_cores()) as pool:
        results = list(pool.map(lambda annotation: _to_record(annotation, budget), found.images))
    bad = {
        annotation.image_id: str(one)
        for annotation, one in zip(found.images, results, strict=True)
        if isinstance(one, ConfigError)
    }
    if bad and (on_bad_image == "refuse" or len(bad) == len(results)):
        raise _refusal(list(bad.values()), len(results))
    for reason in bad.values():
        found.findings.add("image-unusable", reason)
    used = [
        (annotation, one)
        for annotation, one in zip(found.images, results, strict=True)
        if isinstance(one, _Checked)
    ]
    for _, one in used:
        found.findings.merge(one.findings)
    check_units(
        [annotation for annotation, _ in used],
        [one.full_size for _, one in used],
        found.order,
        [one.odd for _, one in used],
        found.findings,
    )
    return drop_copies([one.record for _, one in used], found.findings), tuple(bad)


def _cores() -> int:
    """Cores that this process may use; decoders release the interpreter."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _refusal(reasons: Sequence[str], total: int) -> ConfigError:
    rest = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return ConfigError(
        f"{len(reasons)} of {total} images can't be used, 0 are allowed: {'; '.join(reasons[:_NAMED])}{rest}"
        ". Fix them, or set data.on_bad_image=skip to leave them out."
    )


class _Budget:
    """Bytes that are left; threads may each overdraw it by one image."""

    def __init__(self, left: int) -> None:
        self._left = left

    def take(self, count: int) -> bool:
        self._left -= count
        return self._left >= 0


class _Checked(NamedTuple):
    """A record, and what was found in its image and boxes."""

    record: Record
    full_size: ImageSize
    odd: int
    findings: Findings


def _to_record(annotation: Annotation, budget: _Budget) -> _Checked | ConfigError:
    try:
        loaded = load_image(
            annotation.path,
            annotated_size=annotation.size,
            named_by=annotation.named_by,
            upright=annotation.in_shares,
        )
    except ConfigError as error:
        return error
    (height, width), file = loaded.full_size, loaded.file
    scale = (width, height, width, height) if annotation.in_shares else (1, 1, 1, 1)
    boxes = np.array(annotation.boxes, dtype=np.float32).reshape(-1, 4) * np.array(scale, dtype=np.float32)
    checked = check_boxes(annotation, boxes, loaded.full_size)
    reduction = np.array([*file.size[::-1], *file.size[::-1]]) / np.array([width, height, width, height])
    record = Record(
        source=DecodedFile(file, loaded.image) if budget.take(loaded.image.nbytes) else file,
        boxes=(checked.boxes[checked.kept] * reduction).astype(np.float32),
        labels=np.array(annotation.labels, dtype=np.int64)[checked.kept],
        ignore=np.array(annotation.ignore, dtype=np.bool_)[checked.kept],
        image_id=annotation.image_id,
        path=annotation.path,
        hash=perceptual_hash(loaded.image),
    )
    if loaded.guessed_bits:
        place = f"{annotation.image_id}: {loaded.guessed_bits} bits"
        checked.findings.add("bits-guessed", place, image=annotation.path)
    if file.size != loaded.full_size:
        place = f"{annotation.image_id}: {width}x{height} to {file.size[1]}x{file.size[0]}"
        checked.findings.add("image-reduced", place, image=annotation.path)
    return _Checked(record, loaded.full_size, checked.odd, checked.findings)

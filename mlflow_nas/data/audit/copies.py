"""Images that repeat another one: by their digest, and by a perceptual hash across splits."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mlflow_nas.data.dataset import DetectionDataset, Record
from mlflow_nas.data.findings import Findings
from mlflow_nas.data.sample import ByteImage

__all__ = ["compare_splits", "drop_copies", "perceptual_hash"]

_GRID = (9, 8)
_SAMPLES = 64
_LEAST_EDGES = 8
_NEAR_BITS = 3
_BANDS = 4
_SHARED = 0.01
"""Share of a split's images in another split from which its results are wrong."""


def perceptual_hash(image: ByteImage) -> int:
    """Difference hash: whether each of 8x8 cells is brighter than its left neighbour, as 64 bits.

    http://www.hackerfactor.com/blog/index.php?/archives/529-Kind-of-Like-That.html

    Args:
        image: RGB uint8 [h, w, 3].
    """
    rows, columns = (max(side // _SAMPLES, 1) for side in image.shape[:2])
    read = np.ascontiguousarray(image[::rows])  # whole rows: single pixels far apart take longer to fetch
    green = Image.fromarray(np.ascontiguousarray(read[:, ::columns, 1]))
    cells = np.asarray(green.resize(_GRID, Image.Resampling.BOX))
    return int.from_bytes(np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes(), "big")


def drop_copies(records: Sequence[Record], findings: Findings) -> list[Record]:
    """The records whose image is not that of an earlier one; copies with other boxes are a finding.

    Args:
        records: of one split.
        findings: receives what is found.
    """
    first: dict[bytes, Record] = {}
    kept = []
    for record in records:
        known = first.setdefault(record.source.sha256(), record)
        if known is record:
            kept.append(record)
            continue
        kind = "image-repeated" if _same_boxes(known, record) else "copies-differ"
        findings.add(kind, f"{record.image_id} of {known.image_id}", image=record.path)
    return kept


def _same_boxes(one: Record, other: Record) -> bool:
    def rows(record: Record) -> NDArray[np.float64]:
        table = np.column_stack([record.labels, record.ignore, record.boxes]).astype(np.float64)
        return table[np.lexsort(table.T[::-1])]

    return len(one.boxes) == len(other.boxes) and np.allclose(rows(one), rows(other), atol=0.5)


def compare_splits(splits: Mapping[str, DetectionDataset], findings: Findings) -> None:
    """Find images of one split that are, or look like, images of another.

    Args:
        splits: name to unaugmented split; each is compared with those before it.
        findings: receives what is found.
    """
    earlier: dict[bytes, str] = {}
    hashes: list[tuple[str, Record]] = []
    for name, split in splits.items():
        own = [record for record in split.records if record.path is not None]
        shared = [record for record in own if record.source.sha256() in earlier]
        kind = "splits-share-images" if len(shared) > _SHARED * len(own) else "splits-share-few"
        for record in shared:
            place = f"{record.image_id} of {name} and {earlier[record.source.sha256()]}"
            findings.add(kind, place, image=record.path)
        taken = set(map(id, shared))
        for record, other, other_name in _alike([one for one in own if id(one) not in taken], hashes):
            place = f"{record.image_id} of {name} and {other.image_id} of {other_name}"
            findings.add("splits-look-alike", place, image=record.path)
        for record in own:
            earlier.setdefault(record.source.sha256(), f"{record.image_id} of {name}")
        hashes += [(name, record) for record in own]


def _alike(
    records: Iterable[Record], known: Sequence[tuple[str, Record]]
) -> Iterable[tuple[Record, Record, str]]:
    """Pairs whose hashes differ in at most 3 of 64 bits: one of four bands of 16 bits is then equal."""
    bands: list[dict[int, list[int]]] = [{} for _ in range(_BANDS)]
    for index, (_, record) in enumerate(known):
        if _has_structure(record.hash):
            for band, key in enumerate(_band_keys(record.hash)):
                bands[band].setdefault(key, []).append(index)
    for record in records:
        candidates = (
            index
            for band, key in enumerate(_band_keys(record.hash))
            for index in bands[band].get(key, ())
            if (known[index][1].hash ^ record.hash).bit_count() <= _NEAR_BITS
        )
        found = next(candidates, None) if _has_structure(record.hash) else None
        if found is not None:
            yield record, known[found][1], known[found][0]


def _band_keys(value: int) -> list[int]:
    return [value >> (16 * band) & 0xFFFF for band in range(_BANDS)]


def _has_structure(value: int) -> bool:
    """A plain image looks like every other one."""
    return _LEAST_EDGES <= value.bit_count() <= 64 - _LEAST_EDGES

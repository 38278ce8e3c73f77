"""COCO folders: images/, train.json, val.json and perhaps test.json."""

import json
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from mlflow_nas.data.annotations import AnnotatedSplit, Annotation, EmptySplitError, MissingSplitError
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import ImageSize, Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_coco"]

_SECTIONS = ("images", "annotations", "categories")
_BOX_NUMBERS = 4


def read_coco(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split of a COCO folder; crowds are ignored boxes.

    Args:
        location: the folder.
        split: names the annotation file.
        classes: category names to keep; labels index them.

    Raises:
        ConfigError: something is missing, malformed or unknown.
    """
    folder = Path(location)
    file = folder / f"{split}.json"
    document = _read_json(file)
    labels = _category_labels(document["categories"], classes, file)
    annotations = _images(document["images"], file)
    for entry in document["annotations"]:
        try:
            _add_box(entry, annotations, labels)
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(file, f"annotation {_id_of(entry)}", error) from error
    return AnnotatedSplit(folder.resolve().name, f"coco:{location}", list(annotations.values()))


def _read_json(file: Path) -> dict[str, list[Any]]:
    try:
        document: dict[str, list[Any]] = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingSplitError(
            f"{file}: missing; a coco: folder holds images/, train.json, val.json and perhaps test.json"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not readable as JSON ({error}); export the annotations again") from error
    for section in _SECTIONS:
        if not isinstance(document, dict) or not isinstance(document.get(section), list):
            fault = EmptySplitError if section == "annotations" else ConfigError
            raise fault(f"{file}: has no list {section!r}; export the annotations in COCO's format")
    if not document["images"]:
        raise ConfigError(f"{file}: names 0 images, 1 is the least; add images to the split")
    return document


def _category_labels(categories: list[Any], classes: Sequence[str], file: Path) -> dict[object, int | None]:
    """Label of every category id; None for the categories that were not asked for."""
    try:
        names = {entry["id"]: str(entry["name"]) for entry in categories}
    except (KeyError, TypeError) as error:
        raise _malformed(file, "categories", error) from error
    for name in classes:
        if name not in names.values():
            raise ConfigError(f"{file}: {unknown_name('class', name, names.values())}")
    return {key: classes.index(name) if name in classes else None for key, name in names.items()}


def _images(entries: list[Any], file: Path) -> dict[object, Annotation]:
    images: dict[object, Annotation] = {}
    for entry in entries:
        try:
            key, name = entry["id"], str(entry["file_name"])
            hash(key)
            size = _annotated_size(entry)
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(file, f"image {_id_of(entry)}", error) from error
        if key in images:
            raise ConfigError(f"{file}: image id {key!r} is used twice; give each image its own id")
        path = file.parent / "images" / name
        images[key] = Annotation(path=path, named_by=file, image_id=name, size=size)
    return images


def _annotated_size(entry: dict[str, Any]) -> ImageSize | None:
    height, width = int(entry.get("height") or 0), int(entry.get("width") or 0)
    return (height, width) if height and width else None


def _add_box(
    entry: dict[str, Any], images: dict[object, Annotation], labels: dict[object, int | None]
) -> None:
    image, label = images[entry["image_id"]], labels[entry["category_id"]]
    box = entry["bbox"]
    if len(box) != _BOX_NUMBERS or not all(isinstance(number, Real) for number in box):
        raise ValueError(f"bbox {box!r} is not four numbers")
    if label is not None:
        x, y, width, height = map(float, box)
        image.add((x, y, x + width, y + height), label=label, ignore=bool(entry.get("iscrowd", 0)))


def _id_of(entry: object) -> object:
    return entry.get("id", "without id") if isinstance(entry, dict) else entry


def _malformed(file: Path, what: str, error: Exception) -> ConfigError:
    problem = f"{error} is missing or unknown" if isinstance(error, KeyError) else str(error)
    return ConfigError(f"{file}: {what}: {problem}; correct the entry or remove it")

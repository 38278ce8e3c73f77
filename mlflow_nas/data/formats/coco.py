"""COCO folders: images/, train.json, val.json and perhaps test.json."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.data.findings import Findings
from mlflow_nas.data.formats.annotation import (
    AnnotatedSplit,
    Annotation,
    EmptySplitError,
    MissingSplitError,
)
from mlflow_nas.data.formats.files import FileFinder
from mlflow_nas.data.formats.text import read_text
from mlflow_nas.data.formats.uri_options import parse_options, split_location
from mlflow_nas.data.formats.values import flag, number, shown, whole_value
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import ImageSize, Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_coco"]

_SECTIONS = ("images", "categories", "annotations")
_BOX_NUMBERS = 4
_REMEDY = "export the annotations again"
_MIN_SCORE = "0.5"


def read_coco(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split of a COCO folder; crowds and what is marked `ignore` are ignored boxes.

    Args:
        location: ``DIR[?results=FILE,min_score=0.5]``. With results (COCO's format: image_id, category_id,
            bbox, score; FILE is relative to DIR) those of the score or better are the boxes of train, as a
            teacher's pseudo-labels are; the other splits keep their annotations.
        split: names the annotation file.
        classes: category names to keep; labels index them.

    Raises:
        ConfigError: something is missing, malformed or unknown.
    """
    folder, query = split_location(location)
    options = parse_options(query, known=("results", "min_score"))
    file, results = folder / f"{split}.json", options.get("results") if split == "train" else None
    document = _read_document(file, needs_annotations=results is None)
    names = _categories(document["categories"], classes, file)
    findings = Findings()
    images = _images(document["images"], file, findings)
    split_found = AnnotatedSplit(
        name=folder.resolve().name,
        uri=f"coco:{location}",
        images=list({id(one): one for one in images.values()}.values()),
        order="corner and size",
        findings=findings,
    )
    entries: Iterator[tuple[str, Any]]
    if results is None:
        entries = (("annotation", entry) for entry in document["annotations"])
    else:
        file = folder / results
        entries = _scored(file, options.get("min_score", _MIN_SCORE), findings)
    for place, (what, entry) in enumerate(entries):
        try:
            _add_box(entry, images, names, classes, split_found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _malformed(file, f"{what} {_id_of(entry, place)}", error) from error
    return split_found


def _load(file: Path, holds: str) -> Any:
    try:
        return json.loads(read_text(file, holds=holds, remedy=_REMEDY))
    except RecursionError as error:
        raise ConfigError(f"{file}: not readable as JSON (nested too deep); {_REMEDY}") from error
    except ValueError as error:  # such as a number of more than 4300 digits
        raise ConfigError(f"{file}: not readable as JSON ({error}); {_REMEDY}") from error


def _read_document(file: Path, *, needs_annotations: bool) -> dict[str, list[Any]]:
    try:
        document: dict[str, list[Any]] = _load(file, "JSON")
    except FileNotFoundError as error:
        raise MissingSplitError(
            f"{file}: missing; a coco: folder holds images/, train.json, val.json and perhaps test.json"
        ) from error
    for section in _SECTIONS if needs_annotations else _SECTIONS[:2]:
        if not isinstance(document, dict) or not isinstance(document.get(section), list):
            fault = EmptySplitError if section == "annotations" else ConfigError
            raise fault(f"{file}: has no list {section!r}; export the annotations in COCO's format")
    if not document["images"]:
        raise ConfigError(f"{file}: names 0 images, 1 is the least; add images to the split")
    return document


def _categories(entries: list[Any], classes: Sequence[str], file: Path) -> dict[object, str]:
    """Name of every category id; the requested classes are among them."""
    names: dict[object, str] = {}
    try:
        for entry in entries:
            name = str(entry["name"])
            if names.setdefault(entry["id"], name) != name:
                raise ValueError(f"id {shown(entry['id'])} has two names")  # noqa: TRY301 - one sentence for all
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed(file, "categories", error) from error
    for name in classes:
        if name not in names.values():
            raise ConfigError(f"{file}: {unknown_name('class', name, names.values())}")
    return names


def _images(entries: list[Any], file: Path, findings: Findings) -> dict[object, Annotation]:
    """Annotation of every image id; two equal entries of one file are one image."""
    images: dict[object, Annotation] = {}
    by_path: dict[Path, tuple[object, Annotation]] = {}
    finder = FileFinder()
    for place, entry in enumerate(entries):
        try:
            key, name, size = entry["id"], str(entry["file_name"]), _annotated_size(entry)
            hash(key)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _malformed(file, f"image {_id_of(entry, place)}", error) from error
        # Some tools count file_name from the JSON file.
        path = finder.locate(name, (file.parent / "images", file.parent))
        if path in by_path:
            first, image = by_path[path]
            _refuse_other_size(file, name, image.size, size)
            findings.add("entry-repeated", f"{name}: ids {shown(first)} and {shown(key)}", image=path)
        else:
            image = Annotation(path=path, named_by=file, image_id=name, size=size)
            by_path[path] = key, image
        if images.setdefault(key, image) is not image:
            raise ConfigError(f"{file}: image id {shown(key)} is used twice; give each image its own id")
    return images


def _refuse_other_size(file: Path, name: str, first: ImageSize | None, second: ImageSize | None) -> None:
    if first != second:
        raise ConfigError(f"{file}: {name[:200]} is listed twice, with two sizes; remove one entry")


def _annotated_size(entry: dict[str, Any]) -> ImageSize | None:
    height, width = (whole_value(entry.get(side) or 0, side) for side in ("height", "width"))
    return (height, width) if height and width else None


def _scored(file: Path, min_score: str, findings: Findings) -> Iterator[tuple[str, Any]]:
    """The results of a detector whose score is high enough."""
    try:
        least = number(min_score, "min_score")
        results = _load(file, "COCO results")
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: missing; results=FILE is relative to the folder of the data") from error
    except ValueError as error:
        raise ConfigError(f"data option: {error}; write min_score=0.5") from error
    if not isinstance(results, list):
        raise ConfigError(f"{file}: holds no list of results; {_REMEDY} in COCO's format")
    for place, entry in enumerate(results):
        try:
            score = number(entry["score"], "score")
            if not 0 <= score <= 1:
                raise ValueError(f"score {score:g} is not from 0 to 1")  # noqa: TRY301 - one sentence for all
        except (KeyError, TypeError, ValueError) as error:
            raise _malformed(file, f"result {place}", error) from error
        if score >= least:
            yield "result", entry
        else:
            findings.add("score-low", f"{file.name}, result {place}")


def _add_box(
    entry: dict[str, Any],
    images: dict[object, Annotation],
    names: dict[object, str],
    classes: Sequence[str],
    found: AnnotatedSplit,
) -> None:
    image, name = images[entry["image_id"]], names[entry["category_id"]]
    found.classes[name] += 1
    if name not in classes:
        return
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != _BOX_NUMBERS:
        raise ValueError(f"bbox {shown(box)} is not four numbers")
    x, y, width, height = (number(value, "a number of bbox") for value in box)
    ignore = flag(entry.get("iscrowd"), "iscrowd") or flag(entry.get("ignore"), "ignore")
    image.add((x, y, x + width, y + height), label=classes.index(name), ignore=ignore)


def _id_of(entry: object, place: int) -> str:
    found = entry.get("id") if isinstance(entry, dict) else None
    return f"number {place}" if found is None else shown(found)


def _malformed(file: Path, what: str, error: Exception) -> ConfigError:
    if isinstance(error, KeyError):
        problem = f"{shown(error.args[0])} is missing or unknown"
    else:
        problem = str(error)[:200] if isinstance(error, ValueError) else "has not the parts that COCO names"
    return ConfigError(f"{file}: {what}: {problem}; correct the entry or remove it")

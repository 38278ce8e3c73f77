"""YOLO data sets as Ultralytics describes them: a data.yaml, images/ and labels/ beside each other.

https://docs.ultralytics.com/datasets/detect/: a label file holds a line per object, see `yolo_rows`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mlflow_nas.data.formats.annotation import (
    AnnotatedSplit,
    Annotation,
    EmptySplitError,
    MissingSplitError,
)
from mlflow_nas.data.formats.files import FileFinder, is_file, is_folder, walk_files
from mlflow_nas.data.formats.suffixes import is_image
from mlflow_nas.data.formats.text import read_lines
from mlflow_nas.data.formats.uri_options import parse_options, split_location
from mlflow_nas.data.formats.values import shown, whole_value
from mlflow_nas.data.formats.yolo_rows import RowReader
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.errors import ConfigError
from mlflow_nas.yaml_file import read_yaml

__all__ = ["read_yolo"]

_FILE = "data.yaml"
_SUFFIXES = {".yaml", ".yml"}
_OUTLINES = "outlines"


def read_yolo(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split; an image without a label file has no objects.

    Args:
        location: ``PLACE[?rows=outlines]``: the data.yaml, or the folder that holds it or one other YAML
            file. With rows the user says what rows of more than four numbers are, where they could be
            several things.
        split: a key of data.yaml: a folder of images, a text file that lists them, or several of these.
        classes: names to keep; labels index them.

    Raises:
        ConfigError: something is missing, malformed or unknown.
        EmptySplitError: the split that data.yaml names is missing.
    """
    place, query = split_location(location)
    rows = parse_options(query, known=("rows",)).get("rows")
    if rows not in (None, _OUTLINES):
        raise ConfigError(f"data option rows={rows}: leave it out, or write rows={_OUTLINES}")
    file = _description(place)
    remedy = f"write yolo:DIR with a {_FILE} in DIR, or its path"
    document = read_yaml(file, what="data set description", holds="path, train, val and names", remedy=remedy)
    names = _names(document.get("names"), classes, file)
    reader = RowReader(file, names, classes, document.get("kpt_shape"), outlines=rows == _OUTLINES)
    found = AnnotatedSplit(name=file.resolve().parent.name, uri=f"yolo:{location}", images=[], order="shares")
    finder = FileFinder()
    for path, image_id in _images(document, split, file, found):
        _read(path, image_id, file, finder, reader, found)
    reader.refuse_ambiguous()
    if not found.images:
        raise ConfigError(f"{file}: {split} names 0 images, 1 is the least; add images to the split")
    return found


def _description(place: Path) -> Path:
    """data.yaml, or the only YAML file of the folder."""
    if place.suffix.lower() in _SUFFIXES:
        return place
    file = place / _FILE
    if is_file(file) or not is_folder(place):
        return file
    others = sorted(path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES)
    if len(others) > 1:
        names = ", ".join(path.name for path in others[:9])
        raise ConfigError(f"{file}: missing, and {names} are there; write yolo:FILE for one of them")
    return others[0] if others else file


def _names(names: object, classes: Sequence[str], file: Path) -> dict[int, str]:
    """Name of every class number; the requested classes are among them."""
    listed: Any = dict(enumerate(names)) if isinstance(names, list) else names
    try:
        known = {whole_value(number, "class number"): str(name) for number, name in listed.items()}
    except (AttributeError, ValueError) as error:
        raise ConfigError(
            f"{file}: names is {shown(names)}, not a list of class names or a mapping of numbers to them; "
            "write names: [person, dog]"
        ) from error
    for name in classes:
        if name not in known.values():
            raise ConfigError(f"{file}: {unknown_name('class', name, known.values())}")
    return known


def _images(
    document: dict[str, Any], split: Split, file: Path, found: AnnotatedSplit
) -> Iterator[tuple[Path, str]]:
    """Every image of a split once, and its name in the data set."""
    entries = document.get(split)
    if not entries:
        raise MissingSplitError(f"{file}: has no {split}; name a folder of images there")
    root, seen = _root(document, file), set[Path]()
    for entry in entries if isinstance(entries, list) else [entries]:
        place = _locate(root, str(entry))
        for path in _listed(place, split, file):
            name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
            if path in seen:
                found.findings.add("entry-repeated", f"{place.name}: {name}", image=path)
            else:
                seen.add(path)
                yield path, name


def _listed(place: Path, split: Split, file: Path) -> list[Path]:
    """The images of one entry: those of a folder, or of a text file."""
    if is_folder(place):
        return [path for path in walk_files(place) if is_image(path)]
    if place.suffix.lower() != ".txt" or not is_file(place):
        raise EmptySplitError(
            f"{str(place)[:300]}: no folder and no list of images, named by {file} as {split}; "
            "correct it there"
        )
    finder = FileFinder()
    lines = read_lines(place, holds="a list of images", remedy="write it again")
    return [_normal(finder.locate(text, (place.parent,))) for _, text in lines]


def _normal(path: Path) -> Path:
    """Without the parts . and .. that differ between two names of one file; links stay."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != ".." and not Path(*parts).is_symlink():
            parts.pop()
        else:
            parts.append(part)
    return Path(*parts)


def _root(document: dict[str, Any], file: Path) -> Path:
    """The folder of the split's entries; the file's folder where its `path` is not on this machine."""
    root = file.parent / str(document.get("path") or "")
    return root if is_folder(root) else file.parent


def _locate(root: Path, entry: str) -> Path:
    """Some tools write ../train/images where Ultralytics looks in train/images."""
    place = root / entry
    if not is_folder(place) and not is_file(place) and entry.startswith("../"):
        place = root / entry.removeprefix("../")
    return _normal(place)


def _label_path(path: Path) -> Path:
    """labels/ instead of the last images/ of the path."""
    parts = list(path.with_suffix(".txt").parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts)


def _read(
    path: Path, image_id: str, file: Path, finder: FileFinder, reader: RowReader, found: AnnotatedSplit
) -> None:
    annotation = Annotation(path=path, named_by=file, image_id=image_id, size=None, in_shares=True)
    found.images.append(annotation)
    labels = finder.find(_label_path(path))
    if labels is None:
        found.findings.add("image-without-labels", image_id, image=path)
        return
    if labels in found.label_files:
        found.findings.add("labels-shared", f"{labels.name}: {image_id}", image=path)
    found.label_files.add(labels)
    for number, line in read_lines(labels, holds="labels", remedy="export the labels again"):
        try:
            row = reader.read(line.split(), f"{labels}, line {number}")
        except ValueError as error:
            raise ConfigError(f"{labels}, line {number}: {error}; correct the line or remove it") from error
        found.classes[row.name] += 1
        if row.label is not None:
            annotation.add(row.box, label=row.label, ignore=False)

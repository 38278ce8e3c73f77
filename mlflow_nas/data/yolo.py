"""YOLO data sets as Ultralytics describes them: a data.yaml, images/ and labels/ beside each other.

https://docs.ultralytics.com/datasets/detect/: a label file holds a line per object, "class cx cy w h" in
shares of the image, or the corners of its outline "class x1 y1 x2 y2 ...".
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlflow_nas.data.annotations import AnnotatedSplit, Annotation, EmptySplitError, MissingSplitError
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_yolo"]

_FILE = "data.yaml"
_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}


def read_yolo(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split; an image without a label file has no objects.

    Args:
        location: the data.yaml, or the folder that holds it.
        split: a key of data.yaml: a folder of images, a text file that lists them, or several of these.
        classes: names to keep; labels index them.

    Raises:
        ConfigError: something is missing, malformed or unknown.
        EmptySplitError: the split that data.yaml names is missing.
    """
    file = Path(location) if Path(location).suffix in {".yaml", ".yml"} else Path(location) / _FILE
    document = _read_yaml(file)
    labels = _labels(document.get("names"), classes, file)
    images = [_read(path, labels, file, image_id) for path, image_id in _images(document, split, file)]
    if not images:
        raise ConfigError(f"{file}: {split} names 0 images, 1 is the least; add images to the split")
    return AnnotatedSplit(file.resolve().parent.name, f"yolo:{location}", images)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: missing; write yolo:DIR with a {_FILE} in DIR, or its path") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: not readable as YAML ({error}); export the data set again") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: holds no keys; it needs path, train, val and names")
    return document


def _labels(names: object, classes: Sequence[str], file: Path) -> dict[int, int | None]:
    """Label of every class number; None for those that were not asked for."""
    listed = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(listed, dict) or not all(isinstance(number, int) for number in listed):
        raise ConfigError(
            f"{file}: names is {names!r}, not a list of class names or a mapping of numbers to them"
        )
    known = {number: str(name) for number, name in listed.items()}
    for name in classes:
        if name not in known.values():
            raise ConfigError(f"{file}: {unknown_name('class', name, known.values())}")
    return {number: classes.index(name) if name in classes else None for number, name in known.items()}


def _images(document: dict[str, Any], split: Split, file: Path) -> Iterator[tuple[Path, str]]:
    """Every image of a split, and its name in the data set."""
    entries = document.get(split)
    if not entries:
        raise MissingSplitError(f"{file}: has no {split}; name a folder of images there")
    root = _root(document, file)
    for entry in entries if isinstance(entries, list) else [entries]:
        place = _locate(root, str(entry))
        if place.is_dir():
            paths = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in _SUFFIXES]
        elif place.suffix == ".txt" and place.is_file():
            lines = _read_lines(place)
            paths = [place.parent / line.strip() for line in lines if line.strip()]
        else:
            raise EmptySplitError(
                f"{place}: no folder and no list of images, named by {file} as {split}; correct it there"
            )
        yield from (
            (path, path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name)
            for path in paths
        )


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file}: not readable as a list of images in UTF-8 ({error}); write it again"
        ) from error


def _root(document: dict[str, Any], file: Path) -> Path:
    """The folder of the split's entries; the file's folder where its `path` is not on this machine."""
    root = file.parent / str(document.get("path") or "")
    return root if root.is_dir() else file.parent


def _locate(root: Path, entry: str) -> Path:
    """Some tools write ../train/images where Ultralytics looks in train/images."""
    place = root / entry
    return root / entry.removeprefix("../") if not place.exists() and entry.startswith("../") else place


def _label_file(path: Path) -> Path:
    """labels/ instead of the last images/ of the path."""
    parts = list(path.with_suffix(".txt").parts)
    places = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts)


def _read(path: Path, labels: dict[int, int | None], file: Path, image_id: str) -> Annotation:
    named_by = _label_file(path)
    annotation = Annotation(path=path, named_by=file, image_id=image_id, size=None, in_shares=True)
    try:
        lines = named_by.read_text(encoding="utf-8").splitlines() if named_by.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{named_by}: not readable ({error}); export the labels again") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                label, box = _read_line(line.split(), labels)
            except (ValueError, KeyError) as error:
                problem = f"class {error} is not in names" if isinstance(error, KeyError) else str(error)
                raise ConfigError(
                    f"{named_by}, line {number}: {problem}; correct the line or remove it"
                ) from error
            if label is not None:
                annotation.add(box, label=label, ignore=False)
    return annotation


def _read_line(
    words: list[str], labels: dict[int, int | None]
) -> tuple[int | None, tuple[float, float, float, float]]:
    label, numbers = labels[int(words[0])], [float(word) for word in words[1:]]
    if len(numbers) == 4:
        x, y, width, height = numbers
        return label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(
            f"{len(numbers)} numbers after the class are neither a box (4) nor an outline (6, 8, ...)"
        )
    xs, ys = numbers[::2], numbers[1::2]
    return label, (min(xs), min(ys), max(xs), max(ys))

"""PASCAL VOC folders: VOC2012/{JPEGImages, Annotations, ImageSets/Main}."""

import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

from mlflow_nas.data.findings import XyxyBox
from mlflow_nas.data.formats.annotation import (
    AnnotatedSplit,
    Annotation,
    EmptySplitError,
    MissingSplitError,
)
from mlflow_nas.data.formats.files import FileFinder, is_folder, walk_files
from mlflow_nas.data.formats.text import read_bytes, read_lines
from mlflow_nas.data.formats.uri_options import parse_options, split_location, whole_number
from mlflow_nas.data.formats.values import flag, number, shown, whole_value
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import ImageSize, Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_voc"]

_DEFAULT_YEAR = "2012"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_WITH_COLUMN = re.compile(r"(.*\S)\s+(?:-1|0|1)")
_REMEDY = "export the annotation again"


def read_voc(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split of a VOCdevkit; difficult boxes are ignored boxes.

    Pixel indexes of VOC start at 1 and include both ends, so the box from xmin to xmax covers
    xmin - 1 .. xmax in coordinates (The PASCAL Visual Object Classes Challenge 2012 Development Kit,
    section 4: "the top-left pixel in the image has coordinates (1,1)").

    Args:
        location: ``DIR[?year=2012]``, the folder that holds VOC2012/.
        split: names the file in ImageSets/Main.
        classes: object names to keep; labels index them.

    Raises:
        ConfigError: something is missing, malformed or unknown.
        EmptySplitError: not one image of the split is annotated.
    """
    reader = _VocReader(_folder(location), classes, f"voc:{location}")
    ids = reader.image_ids(split)
    if not any(reader.annotation_file(image_id) for image_id in ids):
        raise EmptySplitError(
            f"{reader.folder / 'Annotations'}: none of the {len(ids)} images of {split} is annotated there; "
            "1 is the least; restore the annotation files"
        )
    for image_id in ids:
        reader.read(image_id)
    if not set(classes) <= reader.found.classes.keys():
        reader.check_classes()
    return reader.found


def _folder(location: str) -> Path:
    place, query = split_location(location)
    options = parse_options(query, known=("year",))
    year = whole_number("year", options.get("year", _DEFAULT_YEAR), low=2005, high=9999)
    folder = place / f"VOC{year}"
    if not is_folder(folder):
        there = sorted(path.name for path in place.glob("VOC*")) if is_folder(place) else []
        raise ConfigError(
            f"{str(folder)[:300]}: missing folder; found {', '.join(there[:9]) or 'none'} there; "
            "write voc:DIR?year=YEAR"
        )
    return folder


class _VocReader:
    """Reads annotation files, and counts the class names that they hold."""

    def __init__(self, folder: Path, classes: Sequence[str], uri: str) -> None:
        self.folder, self._classes, self._finder = folder, classes, FileFinder()
        self.found = AnnotatedSplit(name=folder.name.lower(), uri=uri, images=[], order="corners")

    def annotation_file(self, image_id: str) -> Path | None:
        """The annotation file of an image; None without one."""
        return self._finder.find(self.folder / "Annotations" / f"{image_id}.xml")

    def image_ids(self, split: Split) -> list[str]:
        """The ids of a split; one that is listed again is used once."""
        file = self.folder / "ImageSets" / "Main" / f"{split}.txt"
        try:
            lines = read_lines(
                file, holds="a list of images", remedy="list one image id per line there, as UTF-8"
            )
        except FileNotFoundError as error:
            raise MissingSplitError(f"{file}: missing; list one image id per line there") from error
        if not lines:
            raise ConfigError(f"{file}: names 0 images, 1 is the least; list one image id per line")
        ids = self._without_column([text for _, text in lines])
        first: dict[str, int] = {}
        for (line, _), image_id in zip(lines, ids, strict=True):
            if first.setdefault(image_id, line) != line:
                place = f"{file.name}, lines {first[image_id]} and {line}: {image_id}"
                self.found.findings.add("entry-repeated", place)
        return list(first)

    def _without_column(self, lines: list[str]) -> list[str]:
        """Lists of one class hold a second column, 1, 0 or -1; ids may hold spaces themselves."""
        columns = [_WITH_COLUMN.fullmatch(line) for line in lines]
        if not all(columns) or all(self.annotation_file(line) for line in lines):
            return lines
        return [column[1] for column in columns if column]

    def read(self, image_id: str) -> None:
        """Read the annotation of one image."""
        file = self.annotation_file(image_id)
        if file is None:
            missing = self.folder / "Annotations" / f"{image_id}.xml"
            raise ConfigError(
                f"{str(missing)[:300]}: missing; restore it or remove {image_id[:200]} from ImageSets/Main"
            )
        root = _parse(file)
        images = self.folder / "JPEGImages"
        try:
            annotation = Annotation(
                path=self._finder.image(images, image_id) or images / f"{image_id}.jpg",
                named_by=file,
                image_id=image_id,
                size=_size(root),
            )
            for entry in root.findall("object"):
                self._add(entry, annotation)
        except ValueError as error:
            raise ConfigError(f"{file}: malformed ({error}); {_REMEDY}") from error
        self.found.images.append(annotation)

    def _add(self, entry: ET.Element, annotation: Annotation) -> None:
        name = _text(entry, "name")
        self.found.classes[name] += 1
        if name in self._classes:
            difficult = flag(_text(entry, "difficult"), "difficult")
            annotation.add(_box(entry), label=self._classes.index(name), ignore=difficult)

    def check_classes(self) -> None:
        """Refuse classes that no annotation of any split has."""
        names = {
            _text(entry, "name")
            for file in walk_files(self.folder / "Annotations")
            if file.suffix.lower() == ".xml"
            for entry in _parse(file).findall("object")
        }
        for name in self._classes:
            if name not in names:
                raise ConfigError(f"{self.folder}: {unknown_name('class', name, names)}")


def _parse(file: Path) -> ET.Element:
    try:
        content = read_bytes(file, holds="XML", remedy=_REMEDY)
        return ET.parse(BytesIO(content)).getroot()  # noqa: S314 - the user's own; expat bounds expansion
    except (ET.ParseError, LookupError, ValueError, OSError) as error:  # an encoding may be none of text
        raise ConfigError(f"{file}: malformed ({str(error)[:200]}); {_REMEDY}") from error


def _text(entry: ET.Element, name: str) -> str:
    return entry.findtext(name, default="").strip()


def _size(root: ET.Element) -> ImageSize | None:
    height, width = (whole_value(_text(root, f"size/{side}") or 0, side) for side in ("height", "width"))
    return (height, width) if height and width else None


def _box(entry: ET.Element) -> XyxyBox:
    corners = [entry.findtext(f"bndbox/{name}", default="") for name in _CORNERS]
    try:
        x_min, y_min, x_max, y_max = (number(text, "corner") for text in corners)
    except ValueError as error:
        raise ValueError(f"bndbox {shown(corners)} is not four numbers") from error
    return x_min - 1, y_min - 1, x_max, y_max

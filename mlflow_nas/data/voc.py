"""PASCAL VOC folders: VOC2012/{JPEGImages, Annotations, ImageSets/Main}."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from mlflow_nas.data.annotations import AnnotatedSplit, Annotation, EmptySplitError, MissingSplitError
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import ImageSize, Split
from mlflow_nas.data.uri_options import parse_options, whole_number
from mlflow_nas.errors import ConfigError

__all__ = ["read_voc"]

_DEFAULT_YEAR = "2012"
_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


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
    text, _, query = location.partition("?")
    year = whole_number(
        "year", parse_options(query, known=("year",)).get("year", _DEFAULT_YEAR), low=2005, high=9999
    )
    folder = Path(text) / f"VOC{year}"
    if not folder.is_dir():
        found = ", ".join(sorted(path.name for path in Path(text).glob("VOC*"))) or "none"
        raise ConfigError(f"{folder}: missing folder; found {found} there; write voc:DIR?year=YEAR")
    names: set[str] = set()
    ids = _image_ids(folder, split)
    if not any(_annotation_file(folder, image_id).is_file() for image_id in ids):
        raise EmptySplitError(
            f"{folder / 'Annotations'}: none of the {len(ids)} images of {split} is annotated there; "
            "1 is the least; restore the annotation files"
        )
    annotations = [_read(folder, image_id, classes, names) for image_id in ids]
    if not set(classes) <= names:
        _check_names(folder, classes)
    return AnnotatedSplit(folder.name.lower(), f"voc:{location}", annotations)


def _check_names(folder: Path, classes: Sequence[str]) -> None:
    """Refuse classes that no annotation of any split has."""
    names: set[str] = set()
    for file in (folder / "Annotations").glob("*.xml"):
        _read(folder, file.stem, (), names)
    for name in classes:
        if name not in names:
            raise ConfigError(f"{folder}: {unknown_name('class', name, names)}")


def _image_ids(folder: Path, split: Split) -> list[str]:
    file = folder / "ImageSets" / "Main" / f"{split}.txt"
    try:
        # Lists of one class hold a second column, 1 or -1.
        ids = [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise MissingSplitError(f"{file}: missing; list one image id per line there") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: not readable ({error}); list one image id per line there") from error
    if not ids:
        raise ConfigError(f"{file}: names 0 images, 1 is the least; list one image id per line")
    return ids


def _read(folder: Path, image_id: str, classes: Sequence[str], names: set[str]) -> Annotation:
    """Read one annotation file and add its object names to ``names``."""
    file = _annotation_file(folder, image_id)
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - the user's own annotations; expat bounds expansion
        annotation = Annotation(
            path=_image_path(folder, image_id), named_by=file, image_id=image_id, size=_size(root)
        )
        for entry in root.findall("object"):
            name = entry.findtext("name", default="").strip()
            names.add(name)
            if name in classes:
                difficult = entry.findtext("difficult", default="0").strip() == "1"
                annotation.add(_box(entry), label=classes.index(name), ignore=difficult)
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: missing; restore it or remove {image_id} from ImageSets/Main") from error
    except (ET.ParseError, OSError, ValueError) as error:
        raise ConfigError(f"{file}: malformed ({error}); export the annotation again") from error
    return annotation


def _annotation_file(folder: Path, image_id: str) -> Path:
    return folder / "Annotations" / f"{image_id}.xml"


def _image_path(folder: Path, image_id: str) -> Path:
    paths = [folder / "JPEGImages" / f"{image_id}{suffix}" for suffix in _SUFFIXES]
    return next((path for path in paths if path.is_file()), paths[0])


def _size(root: ET.Element) -> ImageSize | None:
    height = int(root.findtext("size/height", default="0"))
    width = int(root.findtext("size/width", default="0"))
    return (height, width) if height and width else None


def _box(entry: ET.Element) -> tuple[float, float, float, float]:
    corners = [entry.findtext(f"bndbox/{name}", default="") for name in _CORNERS]
    x_min, y_min, x_max, y_max = map(float, corners)
    return x_min - 1, y_min - 1, x_max, y_max

"""Classified images in folders named after their class, as torchvision's ImageFolder reads them.

    DIR/train/ants/1.jpg    DIR/train/bees/2.jpg    DIR/val/ants/3.jpg    DIR/val/bees/4.jpg

An image's class is a box of that class around the whole image: everything else treats it as any annotation.
"""

from collections.abc import Sequence
from pathlib import Path

from mlflow_nas.data.formats.annotation import AnnotatedSplit, Annotation, MissingSplitError
from mlflow_nas.data.formats.files import is_folder, walk_files
from mlflow_nas.data.formats.suffixes import is_image
from mlflow_nas.data.names import unknown_name
from mlflow_nas.data.sample import Split
from mlflow_nas.errors import ConfigError

__all__ = ["read_class_folders"]

_WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)


def read_class_folders(location: str, split: Split, classes: Sequence[str]) -> AnnotatedSplit:
    """Read one split; images of classes that were not requested are counted and left out.

    Args:
        location: ``DIR``, the folder that holds train/ and val/, and test/ where there is one.
        split: names the folder in DIR.
        classes: names of the folders in it, at least two; labels index them.

    Raises:
        MissingSplitError: there is no such split.
        ConfigError: a class has no folder, or there is only one.
    """
    place = Path(location)
    root = place / split
    if not is_folder(root):
        there = sorted(path.name for path in place.iterdir()) if is_folder(place) else []
        raise MissingSplitError(
            f"{str(root)[:300]}: missing folder; found {', '.join(there[:9]) or 'none'} there; write "
            f"folder:DIR with DIR/{split}/CLASS/IMAGE"
        )
    found = AnnotatedSplit(
        name=place.resolve().name, uri=f"folder:{location}", images=[], order="shares", truth="classes"
    )
    folders = {path.name: path for path in sorted(root.iterdir()) if is_folder(path)}
    _check(classes, folders, root)
    for name, folder in folders.items():
        images = [path for path in walk_files(folder) if is_image(path)]
        found.classes[name] = len(images)
        if name in classes:
            found.images += [_annotated(path, root, classes.index(name)) for path in images]
    return found


def _check(classes: Sequence[str], folders: dict[str, Path], root: Path) -> None:
    for name in classes:
        if name not in folders:
            raise ConfigError(f"{root}: {unknown_name('class', name, folders)}; name them with --classes")
    if len(classes) < 2:
        raise ConfigError(
            f"{root}: {len(classes)} class is asked for ({', '.join(classes)}), 2 are the least to tell "
            f"apart; name them with --classes, such as {','.join(list(folders)[:2])}"
        )


def _annotated(path: Path, root: Path, label: int) -> Annotation:
    annotation = Annotation(
        path=path,
        named_by=path.parent,
        image_id=str(path.relative_to(root)),
        size=None,
        in_shares=True,
    )
    annotation.add(_WHOLE_IMAGE, label=label, ignore=False)
    return annotation

"""The classes of an ONNX file: those that its metadata names, COCO's, or those that are asked for."""

import json
from collections.abc import Mapping, Sequence

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import COCO_CLASSES

__all__ = ["class_indexes", "names_of_classes", "read_metadata"]


def read_metadata(metadata: Mapping[str, str], source: str) -> tuple[tuple[str, ...], int]:
    """Class names, empty where the file names none, and the copies of val that a search measured it on.

    Args:
        metadata: of the file.
        source: the file, as messages name it.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        names = json.loads(metadata.get("mlflow_nas.classes", "[]"))
        copies = int(metadata.get("mlflow_nas.eval_augmentations", "1"))
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise TypeError("mlflow_nas.classes is no list of names")  # noqa: TRY301 - one sentence for all
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{source} has unreadable metadata ({str(error)[:80]}): export it again, or remove its metadata "
            "mlflow_nas.classes and mlflow_nas.eval_augmentations."
        ) from error
    return tuple(names), copies


def names_of_classes(count: int, wanted: Sequence[str]) -> tuple[str, ...]:
    """Classes of a detector that does not name them: those of COCO, or those asked for in their order."""
    if count == len(COCO_CLASSES):
        return COCO_CLASSES
    return tuple(wanted) if count == len(wanted) else tuple(f"number {index}" for index in range(count))


def class_indexes(wanted: Sequence[str], known: Sequence[str], source: str) -> tuple[int, ...]:
    """For each class asked for the detector's index of it.

    Raises:
        ConfigError: it lacks one.
    """
    for name in wanted:
        if name not in known:
            raise ConfigError(
                f"{source} detects {len(known)} classes, and {name!r} is none of them: choose --classes from "
                f"{', '.join(known[:90])}."
            )
    return tuple(known.index(name) for name in wanted)

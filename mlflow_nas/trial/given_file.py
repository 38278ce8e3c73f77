"""An ONNX file from elsewhere as the detector that was given."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow_nas.errors import ConfigError
from mlflow_nas.export import is_quantized
from mlflow_nas.networks import Task
from mlflow_nas.runtime import OnnxDetector, class_indexes, names_of_classes, read_metadata
from mlflow_nas.trial.cache import file_digest

__all__ = ["GivenFile", "open_given_file"]


@dataclass(frozen=True, kw_only=True, eq=False)
class GivenFile:
    """A detector as a file, at its own input size, with all of its classes.

    Attributes:
        path: as it was given.
        img_size: height and width of the input, pixels.
        classes: names of all classes that it detects.
        class_indexes: for each class of the data the detector's index of it.
        is_quantized: whether it holds quantized operators.
        digest: of its bytes and its input size.
    """

    path: Path
    img_size: tuple[int, int]
    classes: tuple[str, ...]
    class_indexes: tuple[int, ...]
    is_quantized: bool
    digest: str


def open_given_file(
    path: Path, *, task: Task, classes: Sequence[str], img_size: tuple[int, int] | None = None
) -> GivenFile:
    """The detector of a file.

    Args:
        path: an ONNX file.
        task: of the search.
        classes: of the data.
        img_size: height and width, for a file that leaves them open; None for the file's own.

    Raises:
        ConfigError: it can't be read, has another size or task, or lacks a class.
    """
    detector = OnnxDetector(path, img_size=img_size)
    if detector.layout.kind not in task.layouts:
        raise ConfigError(
            f"--reference {path} gives {detector.layout.kind}, and {task.name} is measured on "
            f"{' or '.join(task.layouts)}: give a file of that task, or leave --reference out."
        )
    named, _ = read_metadata(detector.metadata, str(path))
    names = named or names_of_classes(detector.layout.num_classes, classes)
    return GivenFile(
        path=path,
        img_size=detector.img_size,
        classes=names,
        class_indexes=class_indexes(classes, names, str(path)),
        is_quantized=is_quantized(path),
        digest=f"{file_digest(path)} {detector.img_size}",
    )

"""What a reader returns: the images of one split as their files describe them, unchecked."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from mlflow_nas.data.findings import Findings, XyxyBox
from mlflow_nas.data.sample import ImageSize, Split, Truth
from mlflow_nas.errors import ConfigError

__all__ = [
    "AnnotatedSplit",
    "Annotation",
    "BoxOrder",
    "EmptySplitError",
    "MissingSplitError",
    "Reader",
]

BoxOrder: TypeAlias = Literal["corners", "corner and size", "shares"]
"""How the files write a box: xyxy in pixels, xywh in pixels, or shares of the image's width and height."""


class MissingSplitError(ConfigError):
    """The data set has no such split at all."""


class EmptySplitError(MissingSplitError):
    """A split has no boxes, such as a test split that is missing or whose annotations are not published."""


@dataclass(slots=True, kw_only=True)
class Annotation:
    """One image as its annotation file describes it, unchecked.

    Attributes:
        path: the image.
        named_by: the annotation file, for errors.
        image_id: names the image in its data set.
        size: (height, width) that the file names; None when it names none.
        boxes: xyxy in pixels, or in shares of the image's width and height.
        labels: index of the class of each box.
        ignore: whether each box is difficult or a crowd.
        in_shares: whether the boxes are shares. They are then those of the upright image, whatever its
            EXIF orientation.
    """

    path: Path
    named_by: Path
    image_id: str
    size: ImageSize | None
    boxes: list[XyxyBox] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    ignore: list[bool] = field(default_factory=list)
    in_shares: bool = False

    def add(self, box: XyxyBox, *, label: int, ignore: bool) -> None:
        """Append one box."""
        self.boxes.append(box)
        self.labels.append(label)
        self.ignore.append(ignore)


@dataclass(slots=True, kw_only=True)
class AnnotatedSplit:
    """The annotations of one split, its images unchecked.

    Attributes:
        name: short name of the data set, for messages.
        uri: its source.
        images: the annotation of each image.
        order: how its files write a box.
        findings: what the reader left out, and why.
        classes: number of boxes of every class name, requested or not.
        label_files: those that were read, where each image has its own.
        truth: boxes of objects, or one class of each image.
    """

    name: str
    uri: str
    images: list[Annotation]
    order: BoxOrder
    findings: Findings = field(default_factory=Findings)
    classes: Counter[str] = field(default_factory=Counter)
    label_files: set[Path] = field(default_factory=set)
    truth: Truth = "boxes"


Reader: TypeAlias = Callable[[str, Split, Sequence[str]], AnnotatedSplit]
"""Reads the annotations at a location, of one split, for some classes."""

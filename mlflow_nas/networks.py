"""The protocols of networks and of the tasks that they are trained for, and the layouts of their outputs.

Shapes: b batch, H x W input, n boxes, N classes, h x w cells, m targets.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = [
    "CLASS_POWER",
    "OBJECTNESS_POWER",
    "TASK_METRICS",
    "THRESHOLD",
    "DistilledNetwork",
    "FileOutput",
    "Layout",
    "LayoutKind",
    "Meter",
    "Network",
    "Runner",
    "Task",
    "read_layout",
]

LayoutKind: TypeAlias = Literal["boxes", "cells", "scores"]
"""boxes: [b, n, 4 + N], corners x1, y1, x2, y2 relative to the image, then a score per class, before
non-maximum suppression. cells: [b, 5 + N, h, w], FastestDet's undecoded map. scores: [b, N], class logits."""

FileOutput: TypeAlias = Literal["network", "boxes"]
"""What a file of a detector gives: the network's own output, or its boxes decoded."""

OBJECTNESS_POWER, CLASS_POWER = 0.6, 0.4
"""Of the layout "cells": a box's score is objectness^.6 x class^.4."""

TASK_METRICS: Mapping[str, tuple[str, ...]] = {"detection": ("map", "map_50"), "classification": ("top1",)}
"""Task to the names of its metrics, the objective first: 0..1, higher is better."""

THRESHOLD = 0.3
"""Least score that an answer reports unless another is asked for."""

_FIRST_CLASS = {"boxes": 4, "cells": 5}


class Layout(NamedTuple):
    """What the dimensions of a network's output mean."""

    kind: LayoutKind
    num_classes: int


def read_layout(shape: Sequence[object]) -> Layout | None:
    """The layout of an output's shape, batch included; None for a shape that is none of them.

    Args:
        shape: sizes; those that a file leaves open are no integers.
    """
    kinds: dict[int, tuple[LayoutKind, int]] = {2: ("scores", 1), 3: ("boxes", 2), 4: ("cells", 1)}
    kind, place = kinds.get(len(shape), ("scores", 0))
    channels = shape[place] if len(shape) in kinds else None
    if not isinstance(channels, int):
        return None
    if kind == "cells":  # one class has no channel of its own
        return Layout(kind, max(channels - _FIRST_CLASS[kind], 1)) if channels >= _FIRST_CLASS[kind] else None
    classes = channels - _FIRST_CLASS.get(kind, 0)
    return Layout(kind, classes) if classes >= 1 else None


Runner: TypeAlias = "Callable[[NDArray[np.float32]], NDArray[np.float32]]"
"""float32 [b, 3, H, W] in 0..1 -> outputs [b, ...] in a task's layout."""


class Network(Protocol):
    """A user's network: any `nn.Module` with these two methods, without a base class of ours."""

    def forward(self, images: "Tensor") -> "Tensor":
        """Float32 [b, 3, H, W] in 0..1 to the task's layout, decoded: this is what ships.

        It may depend on the mode only through layers such as BatchNorm and dropout.
        """

    def loss(self, images: "Tensor", targets: "Tensor") -> "Tensor":
        """The scalar that training minimizes; a network of a task with a loss of its own needs none.

        Args:
            images: float32 [b, 3, H, W] in 0..1.
            targets: the task's truth. Detection: float32 [m, 7], rows of (index of the image in the batch,
                class, cx, cy, w, h, ignore), boxes relative to the image. Classification: int64 [b].
        """


class DistilledNetwork(Network, Protocol):
    """A network that also learns from the outputs of the space's trained baseline (arXiv:1503.02531)."""

    def distilled_loss(self, images: "Tensor", targets: "Tensor", soft: Any, weight: float) -> "Tensor":
        """`loss` plus the weighted distance from the teacher's outputs, of one forward pass.

        Args:
            images: as of `loss`.
            targets: as of `loss`.
            soft: the teacher's `forward` of these images; of the layout "cells" its `TeacherTargets`.
            weight: of the distance.
        """


class Meter(Protocol):
    """Collects the outputs and the truth of a split, batch by batch."""

    def add(self, output: "Tensor", batch: Any, *, classes: Sequence[int] | None = None) -> None:
        """Add a batch.

        Args:
            output: [b, ...] in a layout of the task.
            batch: its images, targets and sizes.
            classes: for each class of the data the network's index of it; None where both have the same.
        """

    def compute(self, names: Sequence[str] = ()) -> dict[str, float]:
        """The task's metrics, 0..1; with the names of several classes also `<objective>/<class>`."""

    def save(self, path: Path) -> None:
        """Write what was collected, for `Task.bootstrap`."""


class Task(Protocol):
    """What networks are trained for and judged by: truth, loss, metric, answer."""

    @property
    def name(self) -> str:
        """In the tag `nas.task`; results of two tasks are never compared."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Their names, the objective first: 0..1, higher is better."""

    @property
    def truth(self) -> Literal["boxes", "classes"]:
        """What it needs to know of images."""

    @property
    def output(self) -> str:
        """Name of the output of an exported file."""

    @property
    def layouts(self) -> tuple[LayoutKind, ...]:
        """Of outputs."""

    @property
    def expected(self) -> str:
        """The layout as a sentence about a network of N classes says it, such as "[b, N] class logits"."""

    def loss(self, network: "nn.Module", images: "Tensor", targets: "Tensor") -> "Tensor":
        """The scalar that training minimizes.

        Args:
            network: a `Network`.
            images: float32 [b, 3, H, W] in 0..1.
            targets: float32 [m, 7], rows of (image, class, cx, cy, w, h, ignore).

        Raises:
            CandidateError: the network has no loss, and the task neither.
        """

    def meter(self) -> Meter:
        """An empty one."""

    def bootstrap(self, record: Path, *, copies: int) -> "NDArray[np.float64]":
        """The objective over draws of the images with repetition; equal draws for every record.

        Args:
            record: written by a meter.
            copies: augmented copies of each image, drawn together.
        """

    def answer(
        self, output: "NDArray[np.float32]", size: tuple[int, int], names: Sequence[str], *, threshold: float
    ) -> dict[str, Any]:
        """The answer for one image, as plain JSON values.

        Args:
            output: of the network for this image, without the batch.
            size: (height, width) of the image, pixels.
            names: of the classes.
            threshold: lower scores are left out.
        """

    def drawn(
        self, output: "NDArray[np.float32]", size: tuple[int, int], names: Sequence[str]
    ) -> tuple["NDArray[np.float32]", list[str]]:
        """Boxes [k, 4], xyxy in pixels, and k labels: the answer as a picture."""

    def describe_output(self, layout: Layout, *, threshold: float) -> Mapping[str, object]:
        """How an application reads a file's output, as plain values for a manifest."""

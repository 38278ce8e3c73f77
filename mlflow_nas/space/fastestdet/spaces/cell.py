"""A cell-based space: one cell, repeated in neck and head, with an operation on each of its edges."""

from collections.abc import Mapping

from torch import Tensor, nn

from mlflow_nas.space.fastestdet.backbone import ShuffleNetBackbone
from mlflow_nas.space.fastestdet.blocks import depthwise, pointwise
from mlflow_nas.space.fastestdet.head import DetectionHead
from mlflow_nas.space.fastestdet.network import FastestDet
from mlflow_nas.space.fastestdet.spaces.family import fastestdet_space
from mlflow_nas.space.fastestdet.spaces.head import head_channels, img_width
from mlflow_nas.space.fastestdet.transfer import slice_weights
from mlflow_nas.space.parameter import Parameter
from mlflow_nas.space.search_space import SearchSpace
from mlflow_nas.space.slicing import most_important, slice_tensor
from mlflow_nas.types import Architecture

__all__ = ["cell"]

NODES = 4
EDGES = tuple((start, end) for end in range(1, NODES) for start in range(end))
OPERATIONS = ("none", "skip", "conv1", "dw3", "dw5", "avg3")
_ACTS_ON = ("neck.chains", "neck.fuse", "neck.cells", "head")
_OUTPUTS = ("head.objectness.", "head.box.", "head.classes.")


def _edge(start: int, end: int) -> str:
    return f"edge{start}{end}"


def _operation(name: str, channels: int) -> nn.Module:
    match name:
        case "conv1":
            return nn.Sequential(*pointwise(channels, channels))
        case "dw3" | "dw5":
            return nn.Sequential(*depthwise(channels, int(name[-1])))
        case "avg3":
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        case _:
            return nn.Identity()


def _live(operations: Mapping[str, str]) -> list[tuple[int, int]]:
    """The edges on a path from the first node to the last; the others would be weights without a gradient."""
    present = [edge for edge in EDGES if operations[_edge(*edge)] != "none"]
    forward, backward = {0}, {NODES - 1}
    for start, end in present:  # in the order of their ends
        if start in forward:
            forward.add(end)
    for start, end in reversed(present):
        if end in backward:
            backward.add(start)
    return [(start, end) for start, end in present if start in forward and end in backward]


class Cell(nn.Module):
    """Four nodes (arXiv:2001.00326): each is the sum of its edges' outputs, whose inputs are earlier nodes.

    The first node is the input, the last the output. Without a path between them the cell returns its input.

    Args:
        operations: edge ("edge01" .. "edge23") to operation.
        channels: C.
    """

    def __init__(self, operations: Mapping[str, str], channels: int) -> None:
        super().__init__()
        # An edge's name holds its kind of operation, so that a kernel's weights come from another size of it.
        self._names = {edge: f"{_edge(*edge)}_{operations[_edge(*edge)][:2]}" for edge in _live(operations)}
        self.edges = nn.ModuleDict(
            {name: _operation(operations[_edge(*edge)], channels) for edge, name in self._names.items()}
        )

    def forward(self, features: Tensor) -> Tensor:
        """[b, C, h, w] -> [b, C, h, w]."""
        nodes = {0: features}
        for (start, end), name in self._names.items():
            made = self.edges[name](nodes[start])
            nodes[end] = nodes[end] + made if end in nodes else made
        return nodes.get(NODES - 1, features)


class CellNeck(nn.Module):
    """1x1 reduction, then cells.

    Args:
        inputs: channels of the backbone's features.
        channels: C.
        cells: [b, C, h, w] to the same.
    """

    def __init__(self, *, inputs: int, channels: int, cells: nn.Module) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*pointwise(inputs, channels))
        self.cells = cells

    def forward(self, features: Tensor) -> Tensor:
        """[b, inputs, h, w] -> [b, C, h, w]."""
        out: Tensor = self.cells(self.reduce(features))
        return out


def _build(architecture: Architecture, num_classes: int) -> FastestDet:
    channels = int(architecture["channels"])
    operations = {_edge(*edge): str(architecture[_edge(*edge)]) for edge in EDGES}

    def cells(where: str) -> nn.Sequential:
        return nn.Sequential(*[Cell(operations, channels) for _ in range(int(architecture[where]))])

    backbone = ShuffleNetBackbone()
    return FastestDet(
        backbone=backbone,
        neck=CellNeck(inputs=backbone.channels, channels=channels, cells=cells("neck_cells")),
        head=DetectionHead(
            stem=cells("head_cells"),
            branch=lambda outputs: nn.Sequential(*pointwise(channels, outputs, activation=None)),
            num_classes=num_classes,
        ),
    )


def _transfer(seed: Mapping[str, Tensor], candidate: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights from a trained baseline of this space, or, fewer of them, from FastestDet.

    One set of channels is taken throughout, because skips and sums tie them together.
    """
    has_cells = any(name.startswith("neck.cells.") for name in seed)
    channels = most_important(
        [seed["neck.reduce.1.weight"]], count=candidate["neck.reduce.1.weight"].shape[0]
    )
    backbone = {name: own for name, own in candidate.items() if name.startswith("backbone.")}
    rest = {
        name: _sliced_or_fresh(name, seed.get(name if has_cells else _in_fastestdet(name)), own, channels)
        for name, own in candidate.items()
        if name not in backbone
    }
    return slice_weights(seed, backbone) | rest


def _in_fastestdet(name: str) -> str:
    """FastestDet's output branches have a depthwise convolution before the 1x1 one."""
    if not name.startswith(_OUTPUTS):
        return name
    head, branch, layer, field = name.split(".")
    return f"{head}.{branch}.{int(layer) + 3}.{field}"


def _sliced_or_fresh(name: str, value: Tensor | None, own: Tensor, channels: Tensor) -> Tensor:
    """The candidate's tensor; an operation that the seed lacks begins as a skip (arXiv:1511.05641)."""
    is_output = name.startswith(_OUTPUTS)
    if value is None and ".edges." in name and own.dim() == 4:
        return nn.init.dirac_(own.clone(), groups=len(own) if own.shape[1] == 1 else 1)
    if value is None or (is_output and value.shape[:1] != own.shape[:1]):
        return own.clone()
    inputs = None if name.startswith("neck.reduce.") else channels
    return slice_tensor(name, value, own.shape, outputs=None if is_output else channels, inputs=inputs)


def cell() -> SearchSpace:
    """An operation on each of the cell's six edges, how often it is repeated, channels and input width.

    72,783,360 architectures. The baseline has as many cells as any of them. Published weights give it its
    backbone, reduction and outputs; the rest is trained with the study's seed network.
    """
    edges = {
        _edge(start, end): Parameter(short=f"e{start}{end}", values=OPERATIONS, acts_on=_ACTS_ON)
        for start, end in EDGES
    }
    operations = dict.fromkeys(edges, "none") | {
        "edge01": "dw5",
        "edge12": "conv1",
        "edge23": "dw5",
        "edge03": "skip",
    }
    return fastestdet_space(
        name="cell",
        parameters={
            **edges,
            "neck_cells": Parameter(short="n", values=(1, 2, 3), acts_on=_ACTS_ON),
            "head_cells": Parameter(short="h", values=(0, 1), acts_on=("head",)),
            "channels": head_channels(),
            "img_width": img_width(),
        },
        baseline={**operations, "neck_cells": 3, "head_cells": 1, "channels": 96, "img_width": 320},
        build=_build,
        transfer=_transfer,
    )

"""Initialize a candidate's weights by slices of the trained seed network's.

After a short training from a fresh head the ranking is mostly noise; transferred weights make it reliable.
Kernels take the centre, channels those with the largest BatchNorm scales, grouped convolutions the diagonal
blocks of the dense one; a shorter stage takes the first blocks, a neck with fewer branches its own branches.
"""

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from mlflow_nas.space.slicing import most_important, slice_tensor

__all__ = ["ChannelSelection", "slice_weights"]

State = Mapping[str, Tensor]
STAGES = ("backbone.stage2.", "backbone.stage3.", "backbone.stage4.")
_INNER = {"0", "1", "3", "4"}
"""Layers of a block's branch2 whose output channels are the block's inner ones."""


def slice_weights(seed: State, candidate: State) -> dict[str, Tensor]:
    """Weights for every tensor of a candidate of `fastestdet-head`, `chain` or `multi-branch`.

    Args:
        seed: state of the baseline network.
        candidate: state of the candidate network, or a part of it; only names and shapes are read.

    Returns:
        A state dict with the candidate's names and shapes. Where the seed has another number of classes, the
        tensors of the class branch are the candidate's own.

    Raises:
        KeyError: the seed lacks a tensor.
        ValueError: a tensor of the seed is smaller than the candidate's or of another kind.
    """
    selection = ChannelSelection(seed, candidate)
    return {
        name: own.clone() if _counts_other_classes(name, seed, own) else selection.slice(name)
        for name, own in candidate.items()
    }


def _counts_other_classes(name: str, seed: State, own: Tensor) -> bool:
    """Whether a tensor of the class branch can't come from a seed of other classes."""
    if not name.startswith("head.classes."):
        return False
    is_output = name.split(".")[2] in {"3", "4"}
    return name not in seed or (is_output and seed[name].shape[:1] != own.shape[:1])


class ChannelSelection:
    """Channels of the seed network that a candidate has.

    Args:
        seed: state of the baseline network.
        candidate: state of the candidate.
    """

    def __init__(self, seed: State, candidate: State) -> None:
        self._seed = seed
        self._candidate = candidate

    def slice(self, name: str) -> Tensor:
        """The candidate's tensor of that name.

        Raises:
            KeyError: the seed lacks it.
            ValueError: it can't be sliced to the candidate's shape.
        """
        is_backbone = name.startswith("backbone.")
        outputs, inputs = self._backbone_channels(name) if is_backbone else self._channels(name)
        return slice_tensor(
            name, self._source(name), self._candidate[name].shape, outputs=outputs, inputs=inputs
        )

    def _source(self, name: str) -> Tensor:
        if not name.startswith("neck.mix."):
            return self._seed[name]
        concat = self._seed[name.replace("neck.mix.", "neck.fuse.")]
        if concat.dim() != 4:
            return concat
        parts = concat.chunk(concat.shape[1] // concat.shape[0], dim=1)
        return torch.stack([parts[chain] for chain in self._chains]).mean(dim=0)

    @cached_property
    def _chains(self) -> list[int]:
        """The neck's chains that the candidate has."""
        return sorted(
            {int(name.split(".")[2]) for name in self._candidate if name.startswith("neck.chains.")}
        )

    @cached_property
    def neck(self) -> Tensor:
        """The neck's channels, by the scales of reduction and fusion."""
        scales = [self._seed[name] for name in ("neck.reduce.1.weight", "neck.fuse.1.weight")]
        return most_important(scales, count=self._candidate["neck.reduce.1.weight"].shape[0])

    @cached_property
    def _head(self) -> Tensor:
        scales = [self._seed["head.stem.1.weight"]]
        return most_important(scales, count=self._candidate["head.stem.1.weight"].shape[0])

    @cached_property
    def features(self) -> Tensor | None:
        """Order of the backbone's features, where they differ from the seed's; None where they don't."""
        orders = [self._order(stage) for stage in STAGES]
        if all(order is None for order in orders):
            return None
        widths = [self._seed[f"{stage}0.branch2.6.weight"].shape[0] * 2 for stage in STAGES]
        whole = [
            torch.arange(width) if order is None else order
            for order, width in zip(orders, widths, strict=True)
        ]
        return torch.cat([whole[0], whole[1] + widths[0], whole[2] + widths[0] + widths[1]])

    def _channels(self, name: str) -> tuple[Tensor | None, Tensor | None]:
        """Which of the seed's output and input channels a tensor of neck or head takes; None for all."""
        if name.startswith("neck.reduce."):
            return self.neck, self.features
        if name.startswith("neck.fuse."):
            width = self._seed["neck.fuse.1.weight"].shape[0]
            return self.neck, torch.cat([self.neck + chain * width for chain in self._chains])
        if name.startswith("neck."):
            return self.neck, self.neck
        if name.startswith("head.stem."):
            return self._head, self.neck
        branch_end = name.split(".")[2] in {"3", "4"}
        return (None, self._head) if branch_end else (self._head, None)

    def _backbone_channels(self, name: str) -> tuple[Tensor | None, Tensor | None]:
        """The same for a tensor of the backbone."""
        stage = next((stage for stage in STAGES if name.startswith(stage)), None)
        if stage is None:
            return None, None
        block, branch, layer, _ = name.removeprefix(stage).split(".", 3)
        before = self._order(STAGES[STAGES.index(stage) - 1]) if block == "0" and stage != STAGES[0] else None
        if branch == "branch1":
            return (before, None) if layer in {"0", "1"} else (None, before if layer == "2" else None)
        inner = self._inner(f"{stage}{block}.branch2.")
        return inner if layer in _INNER else None, before if layer == "0" else inner

    def _inner(self, branch: str) -> Tensor:
        """A block's inner channels, by the scales of its first two BatchNorms."""
        scales = [self._seed[f"{branch}{layer}.weight"] for layer in (1, 4)]
        return most_important(scales, count=self._candidate[f"{branch}1.weight"].shape[0])

    def _order(self, stage: str) -> Tensor | None:
        """Positions of a shorter stage's output channels after the blocks that it lacks; None if none.

        A block passes half of its channels on and shuffles them with the other half: without the last
        blocks, channels that they only pass on have other positions, and the layers that read them are
        reordered.
        """
        lacking = _blocks(self._seed, stage) - _blocks(self._candidate, stage)
        if lacking <= 0:
            return None
        half = self._seed[f"{stage}0.branch2.6.weight"].shape[0]
        order = torch.arange(2 * half)
        for _ in range(lacking):
            order = 2 * (order % half) + order // half
        return order


def _blocks(state: State, stage: str) -> int:
    return len({name.removeprefix(stage).split(".")[0] for name in state if name.startswith(stage)})

"""Cut a candidate's weights out of the seed network's.

A short training from a fresh head ranks noise; one from inherited weights ranks architectures. Kernels keep
their centre, channels those with the largest BatchNorm scales (Network Slimming, arXiv:1708.06519), grouped
convolutions the diagonal blocks of the dense one.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["inherit_head", "inherit_same"]

_NECK_SCALES = ("neck.reduce.1.weight", "neck.fuse.1.weight")
_HEAD_SCALES = ("head.stem.1.weight",)


def inherit_same(seed: Mapping[str, Tensor], candidate: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the seed has under the same name and in the same shape; the rest stays the candidate's own."""
    return {
        name: (seed[name] if name in seed and seed[name].shape == own.shape else own).clone()
        for name, own in candidate.items()
    }


def inherit_head(seed: Mapping[str, Tensor], candidate: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights for every tensor of a candidate of `fastestdet-head`, cut from the seed's.

    Args:
        seed: state of the baseline network.
        candidate: state of the candidate network; only its names and shapes are read.

    Returns:
        A state dict with the candidate's names and shapes. The class branch keeps the candidate's own
        tensors where the seed has another number of classes.

    Raises:
        KeyError: the seed lacks a tensor.
        ValueError: a tensor of the seed is smaller than the candidate's or of another kind.
    """
    neck = _most_important(seed, _NECK_SCALES, keep=candidate["neck.reduce.1.weight"].shape[0])
    head = _most_important(seed, _HEAD_SCALES, keep=candidate["head.stem.1.weight"].shape[0])
    return {
        name: tensor.clone()
        if _counts_other_classes(name, seed, tensor)
        else _cut(name, seed[name], tensor.shape, neck=neck, head=head)
        for name, tensor in candidate.items()
    }


def _counts_other_classes(name: str, seed: Mapping[str, Tensor], tensor: Tensor) -> bool:
    """Whether a tensor of the class branch can't come from a seed that tells other classes apart."""
    if not name.startswith("head.classes."):
        return False
    is_output = name.split(".")[2] in {"3", "4"}
    return name not in seed or (is_output and seed[name].shape[:1] != tensor.shape[:1])


def _most_important(seed: Mapping[str, Tensor], scales: tuple[str, ...], *, keep: int) -> Tensor:
    """Indexes, ascending, of the `keep` channels with the largest summed |BatchNorm scale|."""
    importance = torch.stack([seed[name].abs() for name in scales]).sum(dim=0)
    if keep > importance.numel():
        raise ValueError(f"{scales[0]} has {importance.numel()} channels, {keep} are needed")
    return importance.argsort(descending=True, stable=True)[:keep].sort().values


def _cut(name: str, value: Tensor, shape: torch.Size, *, neck: Tensor, head: Tensor) -> Tensor:
    if value.dim() != len(shape):
        raise ValueError(f"{name} has {value.dim()} dimensions, {len(shape)} are needed")
    if value.dim() == 0 or name.startswith("backbone."):
        cut = value
    else:
        outputs, inputs = _channels_of(name, neck=neck, head=head, seed_channels=value.shape[0])
        cut = value if outputs is None else value[outputs]
        if value.dim() == 4:  # a convolution [out, in, k, k]
            cut = _centre(_input_channels(cut, inputs, shape[1]), shape[-1])
    if cut.shape != shape:
        raise ValueError(f"{name} can't be cut from {tuple(value.shape)} to {tuple(shape)}")
    return cut.clone()


def _channels_of(
    name: str, *, neck: Tensor, head: Tensor, seed_channels: int
) -> tuple[Tensor | None, Tensor | None]:
    """Which of the seed's output and input channels a tensor keeps; None keeps all."""
    if name.startswith("neck.reduce."):
        return neck, None
    if name.startswith("neck.fuse."):
        return neck, torch.cat([neck + chain * seed_channels for chain in range(3)])
    if name.startswith("neck."):
        return neck, None
    if name.startswith("head.stem."):
        return head, neck
    branch_end = name.split(".")[2] in {"3", "4"}
    return (None, head) if branch_end else (head, None)


def _input_channels(weight: Tensor, inputs: Tensor | None, group_width: int) -> Tensor:
    """Keep the input channels [out, in, k, k] -> [out, in/g, k, k], by diagonal blocks when grouped."""
    dense = weight if inputs is None or weight.shape[1] == 1 else weight[:, inputs]
    if dense.shape[1] == group_width:
        return dense
    blocks = dense.chunk(dense.shape[1] // group_width, dim=0)
    return torch.cat(
        [block[:, index * group_width : (index + 1) * group_width] for index, block in enumerate(blocks)]
    )


def _centre(weight: Tensor, kernel_size: int) -> Tensor:
    margin = (weight.shape[-1] - kernel_size) // 2
    return weight if margin == 0 else weight[..., margin:-margin, margin:-margin]

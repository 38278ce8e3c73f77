"""Slices of one tensor: channels, diagonal blocks, the kernel's centre."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["most_important", "slice_tensor"]


def most_important(scales: Sequence[Tensor], *, count: int) -> Tensor:
    """Indexes, ascending, of the channels with the largest summed |BatchNorm scale| (arXiv:1708.06519).

    Raises:
        ValueError: there are fewer channels.
    """
    importance = torch.stack([scale.abs() for scale in scales]).sum(dim=0)
    if count > importance.numel():
        raise ValueError(f"there are {importance.numel()} channels, {count} are needed")
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def slice_tensor(
    name: str, value: Tensor, shape: torch.Size, *, outputs: Tensor | None, inputs: Tensor | None
) -> Tensor:
    """A tensor of that shape, sliced from `value`.

    Args:
        name: of the tensor, for the error.
        value: a convolution's weight [out, in, k, k], a vector [out] or a number.
        shape: of the result. A grouped convolution takes the diagonal blocks of a dense one; a smaller
            kernel the centre, a larger one a ring of zeros, with which it computes the same.
        outputs: which output channels to take, in this order; None for all.
        inputs: which input channels to take, in this order; None for all.

    Raises:
        ValueError: the value is smaller than the shape or of another kind.
    """
    if value.dim() != len(shape):
        raise ValueError(f"{name} has {value.dim()} dimensions, {len(shape)} are needed")
    if value.dim() > 0 and outputs is not None:
        value = value[outputs]
    if value.dim() == 4:
        value = _resized(_input_channels(value, inputs, shape[1]), shape[-1])
    if value.shape != shape:
        raise ValueError(f"{name} can't be sliced from {tuple(value.shape)} to {tuple(shape)}")
    return value.clone()


def _input_channels(weight: Tensor, inputs: Tensor | None, group_width: int) -> Tensor:
    """Take the input channels [out, in, k, k] -> [out, in/g, k, k], by diagonal blocks when grouped."""
    dense = weight if inputs is None or weight.shape[1] == 1 else weight[:, inputs]
    if dense.shape[1] == group_width:
        return dense
    blocks = dense.chunk(dense.shape[1] // group_width, dim=0)
    return torch.cat(
        [block[:, index * group_width : (index + 1) * group_width] for index, block in enumerate(blocks)]
    )


def _resized(weight: Tensor, kernel_size: int) -> Tensor:
    ring = (kernel_size - weight.shape[-1]) // 2
    return F.pad(weight, [ring] * 4)

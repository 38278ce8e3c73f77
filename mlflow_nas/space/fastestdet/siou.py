"""SIoU, an IoU with penalties for angle, distance and shape (arXiv:2205.12740)."""

import torch
from torch import Tensor

__all__ = ["siou"]

_EPSILON = 1e-7


def _plain_iou(first: Tensor, second: Tensor) -> Tensor:
    overlap = (
        torch.min(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
        - torch.max(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    ).clamp(min=0)
    intersection = overlap.prod(dim=1)
    return intersection / (first[:, 2:].prod(dim=1) + second[:, 2:].prod(dim=1) - intersection + _EPSILON)


def _angle_cost(offset: Tensor) -> Tensor:
    """Equation 1 of the paper: 1 - 2 sin^2(arcsin(x) - pi/4) = 2 x sqrt(1 - x^2), without the arcsin.

    The closed form has a finite gradient where the centres meet.
    """
    length = (offset.square().sum(dim=1) + _EPSILON).sqrt()
    sine = offset.abs().amin(dim=1) / length
    return 2 * sine * (1 - sine.square()).clamp(min=_EPSILON).sqrt()


def siou(first: Tensor, second: Tensor) -> Tensor:
    """SIoU of boxes pair by pair.

    Args:
        first: [n, 4] as cx, cy, w, h.
        second: [n, 4] alike.

    Returns:
        [n], at most 1; negative where boxes are far apart. Its gradient is finite at a perfect match.
    """
    offset = second[:, :2] - first[:, :2]
    low = torch.min(first[:, :2] - first[:, 2:] / 2, second[:, :2] - second[:, 2:] / 2)
    high = torch.max(first[:, :2] + first[:, 2:] / 2, second[:, :2] + second[:, 2:] / 2)
    spread = (offset / (high - low + _EPSILON)).square()
    distance = (1 - torch.exp((_angle_cost(offset) - 2).unsqueeze(1) * spread)).sum(dim=1)
    sizes = torch.max(first[:, 2:], second[:, 2:]) + _EPSILON
    shape = (1 - torch.exp(-(first[:, 2:] - second[:, 2:]).abs() / sizes)).pow(4).sum(dim=1)
    return _plain_iou(first, second) - (distance + shape) / 2

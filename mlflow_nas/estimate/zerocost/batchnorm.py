"""Modes of BatchNorm while a network is scored.

T   batch_statistics: training mode, each batch normalises itself.
EC  calibrated: evaluation mode with the statistics of one pass over the same images.
E0  fresh_statistics: evaluation mode with mean 0 and variance 1, so that BatchNorm is almost the identity.
ID  without_batch_norm: BatchNorm is the identity.

In T the weights before a BatchNorm are scale-invariant, so that a gradient is orthogonal to its weights, and
the input gradient of a summed output is exactly 0 where the network ends in BatchNorm. Scores of Jacobians
and of second order need EC.
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

__all__ = ["batch_norms", "batch_statistics", "calibrated", "fresh_statistics", "without_batch_norm"]


def batch_norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """Every BatchNorm of the network."""
    return (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def batch_statistics(network: nn.Module) -> nn.Module:
    """The network in mode T."""
    return network.train()


def calibrated(network: nn.Module, images: Tensor) -> nn.Module:
    """The network in mode EC: the statistics are those of the images [b, 3, H, W]."""
    for norm in batch_norms(network):
        norm.reset_running_stats()
        norm.momentum = None  # torch then averages over all batches since the reset, here one
    network.train()
    with torch.no_grad():
        network(images)
    return network.eval()


def fresh_statistics(network: nn.Module) -> nn.Module:
    """The network in mode E0."""
    for norm in batch_norms(network):
        norm.reset_running_stats()
    return network.eval()


def without_batch_norm(network: nn.Module) -> nn.Module:
    """A copy of the network in mode ID."""
    bare = copy.deepcopy(network).eval()
    for module in list(bare.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return bare

"""The three terms of AZ-NAS that are not a count (arXiv:2403.19232); see its public code for the constants.

Shapes: b images, c channels, h x w cells; n = b h w positions.
"""

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.network import block_ends, raw_output
from mlflow_nas.estimate.zerocost.batchnorm import batch_statistics
from mlflow_nas.estimate.zerocost.passes import redraw

__all__ = ["az_expressivity", "az_progressivity", "az_trainability", "entropy", "trainability"]

_BATCH = 8


def az_expressivity(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum over blocks of the entropy of the features' principal components."""
    return sum(entropy(features) for features in _features(network, inputs))


def az_progressivity(network: nn.Module, inputs: ScoringInputs) -> float:
    """Smallest growth of that entropy from one block to the next."""
    entropies = [entropy(features) for features in _features(network, inputs)]
    return min(after - before for before, after in pairwise(entropies))


def az_trainability(network: nn.Module, inputs: ScoringInputs) -> float:
    """Mean over blocks of how close the block's Jacobian is to preserving the gradient's norm.

    Blocks whose input is not the output of the block before are skipped.
    """
    features = _features(network, inputs)
    values = []
    for before, after in pairwise(features):
        signs = torch.randint(0, 2, after.shape).to(after) * 2 - 1
        (pulled,) = torch.autograd.grad(after, before, signs, retain_graph=True, allow_unused=True)
        if pulled is not None:
            values.append(trainability(pulled, signs))
    if not values:
        raise UndefinedScoreError("no block takes the output of another one")
    return sum(values) / len(values)


def _features(network: nn.Module, inputs: ScoringInputs) -> list[Tensor]:
    """The output of each block for a batch of noise; weights drawn anew (Kaiming), BatchNorm in mode T."""
    redraw(network, fan_in=True)
    features: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        features.append(output)
        return output.clone()  # the next module may work in place

    hooks = [block.register_forward_hook(keep) for block in block_ends(network, inputs.img_size)]
    noise = torch.randn(_BATCH, 3, *inputs.img_size, requires_grad=True)
    try:
        raw_output(batch_statistics(network), noise)
    finally:
        for hook in hooks:
            hook.remove()
    if len(features) < 2:
        raise UndefinedScoreError(
            f"the network has {len(features)} blocks before its output, at least 2 are needed"
        )
    return features


def entropy(features: Tensor) -> float:
    """Entropy, in nats, of the normalised eigenvalues of the channels' covariance; features [b, c, h, w]."""
    positions = features.detach().double().transpose(0, 1).flatten(1)  # [c, n]
    covariance = torch.cov(positions, correction=0).reshape(len(positions), -1)
    covariance = torch.cov(positions, correction=0).reshape(len(positions), -1)
    eigenvalues = torch.linalg.eigvalsh(covariance).clamp(min=0)
    shares = eigenvalues / eigenvalues.sum()
    return -float((shares * (shares + 1e-8).log()).sum())


def trainability(pulled: Tensor, signs: Tensor) -> float:
    """2 - s - 1 / s, at most 0; s is the largest singular value of g_in^T g_out, averaged over positions.

    Args:
        pulled: gradient at the block's input, g_in [b, c_in, H, W].
        signs: gradient at its output, g_out [b, c_out, h, w].
    """
    if pulled.shape == signs.shape and torch.equal(pulled, signs):
        return -math.inf  # the block is the identity
    one, other = _positions(pulled, signs.shape[-2:]), _positions(signs, pulled.shape[-2:])
    largest = float(torch.linalg.matrix_norm(one @ other.T / one.shape[1], ord=2))
    return 2 - largest - 1 / (largest + 1e-6)


def _positions(gradient: Tensor, size: torch.Size) -> Tensor:
    """[b, c, H, W] -> [c', n]; cells that share one cell of the other, coarser map become channels of it."""
    factor = max(-(-gradient.shape[-2] // size[0]), -(-gradient.shape[-1] // size[1]), 1)
    height, width = (min(own, other) for own, other in zip(gradient.shape[-2:], size, strict=True))
    missing = (height * factor - gradient.shape[-2], width * factor - gradient.shape[-1])
    padded = F.pad(gradient, (0, missing[1], 0, missing[0]))
    return F.pixel_unshuffle(padded, factor).transpose(0, 1).flatten(1).double()

"""ZiCo: how steady the gradient is from one minibatch to the next."""

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.zerocost.batchnorm import batch_statistics
from mlflow_nas.estimate.zerocost.passes import gradients, ordered, weights

__all__ = ["steadiness", "zico"]

_MINIBATCHES = 2


def zico(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum over layers of the log of the gradients' inverse coefficients of variation (arXiv:2301.11300).

    Two minibatches, BatchNorm in mode T. The gradients are computed for each minibatch; the published code
    accumulates them.

    Raises:
        UndefinedScoreError: there are fewer images than minibatches.
    """
    images, targets = ordered(inputs)
    if len(images) < _MINIBATCHES:
        raise UndefinedScoreError(f"{_MINIBATCHES} minibatches can't be made of {len(images)} image")
    batch_statistics(network)
    found = weights(network)
    of_batches = []
    for part in torch.arange(len(images)).tensor_split(_MINIBATCHES):
        loss = inputs.loss(network, images[part], _targets_of(targets, part))
        of_batches.append(gradients(loss, found))
    return sum(steadiness(torch.stack(layer)) for layer in zip(*of_batches, strict=True))


def _targets_of(targets: Tensor, part: Tensor) -> Tensor:
    """The targets of consecutive images, indexed from the first of them."""
    chosen = targets[torch.isin(targets[:, 0].long(), part)].clone()
    chosen[:, 0] -= part[0]
    return chosen


def steadiness(layer: Tensor) -> float:
    """Log of the sum over weights of mean |g| / standard deviation of g, over the minibatches.

    Args:
        layer: gradients [minibatches, ...] of one layer's weight.

    Returns:
        0 for a layer whose gradients don't vary.
    """
    gradient = layer.double().flatten(1)
    deviation = gradient.std(dim=0, correction=0)
    varies = deviation > 0
    if not varies.any():
        return 0.0
    return float((gradient.abs().mean(dim=0)[varies] / deviation[varies]).sum().log())

"""BatchNorm statistics taken anew at the end of a training, kept where the network is better with them.

The averaged weights (`Recipe.ema_decay`) have statistics that were averaged with them, over batches of other
weights; these are those of the final weights (arXiv:1803.05407, section 3.2).
"""

import copy
from collections.abc import Callable, Collection

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mlflow_nas.data import DetectionDataModule
from mlflow_nas.train.slow_norms import take_statistics

__all__ = ["retake_statistics"]

PASSES = 2
"""Differently augmented passes over the training images."""


def retake_statistics(
    network: nn.Module,
    data: DetectionDataModule,
    *,
    quality: Callable[[nn.Module], float],
    kept: Collection[str] = (),
) -> bool:
    """Replace a trained network's BatchNorm statistics by those of augmented training images, if it gains.

    Args:
        network: trained, on the CPU; it stays in eval mode.
        data: its splits.
        quality: of a network on training images, higher is better; equal quality keeps the old statistics.
        kept: paths of the BatchNorm layers that keep theirs.

    Returns:
        Whether the statistics were replaced.
    """
    fresh = copy.deepcopy(network)
    layers = [
        layer
        for name, layer in fresh.named_modules()
        if isinstance(layer, _BatchNorm) and layer.running_mean is not None and name not in kept
    ]
    if not layers:
        return False
    batches = (batch.images for epoch in range(PASSES) for batch in data.batches("train", epoch=epoch))
    take_statistics(fresh, layers, batches)
    if quality(fresh) <= quality(network):
        return False
    network.load_state_dict(fresh.state_dict())
    return True

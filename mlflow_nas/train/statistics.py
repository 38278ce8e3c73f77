"""BatchNorm statistics taken anew at the end of a training, kept where the network is better with them.

The averaged weights (`Recipe.ema_decay`) have statistics that were averaged with them, over batches of other
weights; torch's `update_bn` takes those of the final weights (arXiv:1803.05407, section 3.2).
"""

import copy
from collections.abc import Callable

from torch import nn
from torch.optim.swa_utils import update_bn

from mlflow_nas.data import DetectionDataModule

__all__ = ["retake_statistics"]

PASSES = 2
"""Differently augmented passes over the training images."""


def retake_statistics(
    network: nn.Module, data: DetectionDataModule, *, quality: Callable[[nn.Module], float]
) -> bool:
    """Replace a trained network's BatchNorm statistics by those of augmented training images, if it gains.

    Args:
        network: trained, on the CPU; it stays in eval mode.
        data: its splits.
        quality: of a network on training images, higher is better; equal quality keeps the old statistics.

    Returns:
        Whether the statistics were replaced.
    """
    fresh = copy.deepcopy(network)
    batches = (batch.images for epoch in range(PASSES) for batch in data.batches("train", epoch=epoch))
    update_bn(([images] for images in batches), fresh)
    fresh.eval()
    if quality(fresh) <= quality(network):
        return False
    network.load_state_dict(fresh.state_dict())
    return True

"""Counts that need neither data nor training."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlflow_nas.estimate.layers import dry

__all__ = ["complexity"]


def complexity(network: nn.Module, img_size: tuple[int, int]) -> dict[str, float]:
    """Cost of one image at the network's own input size.

    Convolutions are counted from their shapes, everything else by torch's `FlopCounterMode`, which leaves
    out BatchNorm, activations and resizing; one multiply-accumulate is two FLOPs.

    Args:
        network: any module that takes float32 [1, 3, H, W]; it is handed back in the mode it was in.
        img_size: height and width in pixels.

    Returns:
        {"flops", "macs", "params"}, params being the trainable ones.
    """
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode(), dry(network) as layers, FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 3, *img_size))
    finally:
        network.train(was_training)
    macs = sum(layer.macs for layer in layers) + counter.get_total_flops() / 2
    params = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    return {"flops": 2 * macs, "macs": float(macs), "params": float(params)}

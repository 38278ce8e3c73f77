"""Zen: how much a random network's last features react to a small change of its input."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import ScoringInputs
from mlflow_nas.estimate.network import output_convolutions, raw_maps, raw_output
from mlflow_nas.estimate.zerocost.batchnorm import batch_norms, batch_statistics
from mlflow_nas.estimate.zerocost.passes import redraw

__all__ = ["last_features", "zen"]

_ALPHA = 0.01
_DRAWS = 16
_BATCH = 2


def zen(network: nn.Module, inputs: ScoringInputs) -> float:
    """Log of the summed change of the last features, plus BatchNorm's scales (arXiv:2102.01063, algorithm 1).

    Weights, input and its change are drawn from N(0, 1); 16 draws in total, divided among the seeds.
    BatchNorm in mode T with momentum 1, so that its buffer is the batch's variance.
    """
    for norm in batch_norms(network):
        norm.momentum = 1.0
    draws = math.ceil(_DRAWS / len(inputs.seeds))
    return sum(_one_draw(batch_statistics(network), inputs.img_size) for _ in range(draws)) / draws


def _one_draw(network: nn.Module, img_size: tuple[int, int]) -> float:
    redraw(network, fan_in=False)
    images, change = torch.randn(2, _BATCH, 3, *img_size)
    with torch.no_grad():
        before = last_features(network, images)
        variances = [norm.running_var for norm in batch_norms(network) if norm.running_var is not None]
        scales = sum(float(variance.mean().sqrt().log()) for variance in variances)
        after = last_features(network, images + _ALPHA * change)
    difference = sum(
        float((one - other).double().abs().flatten(1).sum(dim=1).mean())
        for one, other in zip(before, after, strict=True)
    )
    return math.log(difference) + scales


def last_features(network: nn.Module, images: Tensor) -> list[Tensor]:
    """The inputs of the output convolutions, [b, c, h, w] each; the raw output where there are none."""
    outputs = output_convolutions(network, (int(images.shape[-2]), int(images.shape[-1])))
    features: list[Tensor] = []

    def keep(_module: nn.Module, inputs: Any) -> None:
        features.append(inputs[0])

    hooks = [
        module.register_forward_pre_hook(keep) for name, module in network.named_modules() if name in outputs
    ]
    try:
        raw = raw_output(network, images)
    finally:
        for hook in hooks:
            hook.remove()
    return features or raw_maps(raw)

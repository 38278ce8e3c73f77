"""SynFlow: how much signal passes through all paths of the network, without data."""

import torch
from torch import nn

from mlflow_nas.estimate.contract import ScoringInputs
from mlflow_nas.estimate.network import raw_maps, raw_output
from mlflow_nas.estimate.zerocost.batchnorm import without_batch_norm
from mlflow_nas.estimate.zerocost.passes import gradients, weights

__all__ = ["synflow"]


def synflow(network: nn.Module, inputs: ScoringInputs) -> float:
    """Log of the sum of |W x dR/dW| (arXiv:2006.05467, equation 3), R the sum of the raw outputs.

    BatchNorm in mode ID, all weights positive, float64, one image of ones. Biases are left out: with them
    the score is not homogeneous in the weights.
    """
    positive = without_batch_norm(network).double()
    with torch.no_grad():
        for name, parameter in positive.named_parameters():
            parameter.zero_() if name.endswith("bias") else parameter.abs_()
    ones = torch.ones(1, 3, *inputs.img_size, dtype=torch.float64)
    flow = torch.stack([maps.sum() for maps in raw_maps(raw_output(positive, ones))]).sum()
    found = weights(positive)
    saliency = [
        (weight.detach() * gradient).abs().sum()
        for weight, gradient in zip(found, gradients(flow, found), strict=True)
    ]
    return float(torch.stack(saliency).sum().log())

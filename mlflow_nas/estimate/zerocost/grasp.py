"""GraSP: how much the weights are worth to the flow of the gradient, BatchNorm in mode EC.

In mode T the score equals the squared norm of the gradient and says nothing new.
"""

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import Probe
from mlflow_nas.estimate.zerocost.batchnorm import calibrated
from mlflow_nas.estimate.zerocost.passes import gradients, training_loss, weights

__all__ = ["grasp", "hessian_gradient_products"]


def grasp(network: nn.Module, probe: Probe) -> float:
    """Sum of -weight x (Hessian x gradient) (arXiv:2002.07376, equation 8, at temperature 1)."""
    calibrated(network, probe.images)
    found = weights(network)
    products = hessian_gradient_products(training_loss(network, probe), found)
    return -sum(
        float((weight.detach() * product).double().sum())
        for weight, product in zip(found, products, strict=True)
    )


def hessian_gradient_products(loss: Tensor, found: list[Tensor]) -> list[Tensor]:
    """H g for each of the weights, by differentiating <g, stop(g)>; shapes are those of the weights."""
    first = gradients(loss, found, create_graph=True)
    product = torch.stack([(gradient * gradient.detach()).sum() for gradient in first]).sum()
    return gradients(product, found)

"""Scores of the training loss's gradient: first order with BatchNorm in mode T, GraSP in mode EC."""

from typing import Any

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import ScoringInputs
from mlflow_nas.estimate.zerocost.batchnorm import batch_statistics, calibrated
from mlflow_nas.estimate.zerocost.passes import gradients, loss_gradients, training_loss, weights

__all__ = ["fisher", "grad_norm", "grasp", "hessian_gradient_products", "l2_norm", "snip"]


def l2_norm(network: nn.Module, inputs: ScoringInputs) -> float:  # noqa: ARG001 - every score takes both
    """Sum over layers of the weights' Euclidean norm (arXiv:2101.08134, section 3.1)."""
    with torch.no_grad():
        return sum(
            float(torch.linalg.vector_norm(weight, dtype=torch.float64)) for weight in weights(network)
        )


def grad_norm(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum over layers of the gradient's Euclidean norm (arXiv:2101.08134, section 3.1)."""
    found = loss_gradients(batch_statistics(network), inputs)
    return sum(float(gradient.double().norm()) for _, gradient in found)


def snip(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum of |weight x gradient| (arXiv:1810.02340, equation 5)."""
    found = loss_gradients(batch_statistics(network), inputs)
    return sum(float((weight.detach() * gradient).double().abs().sum()) for weight, gradient in found)


def fisher(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum over channels of half the mean over images of (sum over cells of a x dL/da)^2 (arXiv:1906.04113).

    a is the output of a convolution or linear layer, before BatchNorm. Channels are summed unweighted;
    NASLib weighs each channel by its fan-in.
    """
    weights(network)
    activations: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        activations.append(output)
        return output.clone()  # the next module may work in place

    hooks = [
        module.register_forward_hook(keep)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        loss = training_loss(batch_statistics(network), inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return sum(
        float(_information(activation.detach(), gradient))
        for activation, gradient in zip(activations, gradients(loss, activations), strict=True)
    )


def _information(activation: Tensor, gradient: Tensor) -> Tensor:
    """[b, c, ...] and its gradient -> sum over c of the mean over b of (sum over cells)^2 / 2."""
    products = (
        (activation.double() * gradient.double()).flatten(2).sum(dim=2)
        if activation.dim() > 2
        else (activation.double() * gradient.double())
    )
    return products.square().mean(dim=0).sum() / 2


def grasp(network: nn.Module, inputs: ScoringInputs) -> float:
    """Sum of -weight x (Hessian x gradient) (arXiv:2002.07376, equation 8, at temperature 1)."""
    calibrated(network, inputs.images)
    found = weights(network)
    products = hessian_gradient_products(training_loss(network, inputs), found)
    return -sum(
        float((weight.detach() * product).double().sum())
        for weight, product in zip(found, products, strict=True)
    )


def hessian_gradient_products(loss: Tensor, found: list[Tensor]) -> list[Tensor]:
    """H g for each of the weights, by differentiating <g, stop(g)>; shapes are those of the weights."""
    first = gradients(loss, found, create_graph=True)
    product = torch.stack([(gradient * gradient.detach()).sum() for gradient in first]).sum()
    return gradients(product, found)

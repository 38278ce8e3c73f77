"""Shared by scores: weights, gradients of the training loss, the raw output's sum, images in a fixed order.

Shapes: b images, m targets, H x W input.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.network import raw_maps, raw_output

__all__ = ["gradients", "loss_gradients", "ordered", "redraw", "signed_sum", "training_loss", "weights"]


def weights(network: nn.Module) -> list[Tensor]:
    """The weights of convolutions and linear layers, each requiring a gradient.

    Raises:
        UndefinedScoreError: there is none.
    """
    found = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    if not found:
        raise UndefinedScoreError("the network has neither a convolution nor a linear layer")
    return [weight.requires_grad_(True) for weight in found]


def redraw(network: nn.Module, *, fan_in: bool) -> None:
    """Draw all convolutions and linear layers anew, without bias, and reset BatchNorm's scale and shift.

    Args:
        network: is changed in place.
        fan_in: variance 2 / fan-in (Kaiming) instead of 1.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight) if fan_in else nn.init.normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def training_loss(network: nn.Module, inputs: ScoringInputs) -> Tensor:
    """The training loss of the batch, in the network's current mode."""
    return inputs.loss(network, inputs.images, inputs.targets)


def gradients(value: Tensor, of: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Derivative of the value by each tensor; zeros where the value does not depend on it."""
    found = torch.autograd.grad(value, list(of), create_graph=create_graph, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(of, found, strict=True)
    ]


def loss_gradients(network: nn.Module, inputs: ScoringInputs) -> list[tuple[Tensor, Tensor]]:
    """Each weight with the training loss's gradient."""
    found = weights(network)
    return list(zip(found, gradients(training_loss(network, inputs), found), strict=True))


def ordered(inputs: ScoringInputs) -> tuple[Tensor, Tensor]:
    """Images and targets, ordered by the images' content.

    Scores that use a part of the images are then independent of the batch's order.
    """
    order = inputs.images.flatten(1).double().sum(dim=1).argsort(stable=True)
    place = order.argsort()
    targets = inputs.targets.clone()
    targets[:, 0] = place[inputs.targets[:, 0].long()].to(targets.dtype)
    return inputs.images[order], targets


def signed_sum(network: nn.Module, images: Tensor) -> Tensor:
    """Sum over images, channels and cells of the raw output times +-1, the signs fixed per output shape.

    The plain sum, the field's default, would be constant where the network ends in a BatchNorm of the batch.
    """
    generator = torch.Generator().manual_seed(0)
    total = images.new_zeros(())
    for maps in raw_maps(raw_output(network, images)):
        signs = torch.randint(0, 2, maps.shape[1:], generator=generator) * 2 - 1
        total = total + (maps * signs.to(maps)).sum()
    return total

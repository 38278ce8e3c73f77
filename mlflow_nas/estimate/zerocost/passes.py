"""What scores share: weights, gradients of the training loss, raw output maps, and pictures in one order.

Shapes: b images, m targets, H x W input.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import Probe, UndefinedScoreError
from mlflow_nas.estimate.layers import raw_maps, raw_output

__all__ = ["gradients", "loss_gradients", "ordered", "redraw", "signed_sum", "training_loss", "weights"]


def weights(network: nn.Module) -> list[Tensor]:
    """The weights of convolutions and linear layers, each wanting a gradient.

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


def training_loss(network: nn.Module, probe: Probe) -> Tensor:
    """The loss of the probe's batch, in whatever mode the network is."""
    return probe.loss(raw_output(network, probe.images), probe.targets)


def gradients(value: Tensor, of: Sequence[Tensor], *, create_graph: bool = False) -> list[Tensor]:
    """Derivative of the value by each tensor; zeros where the value does not depend on it."""
    found = torch.autograd.grad(value, list(of), create_graph=create_graph, allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(of, found, strict=True)
    ]


def loss_gradients(network: nn.Module, probe: Probe) -> list[tuple[Tensor, Tensor]]:
    """Each weight with the training loss's gradient."""
    found = weights(network)
    return list(zip(found, gradients(training_loss(network, probe), found), strict=True))


def ordered(probe: Probe) -> tuple[Tensor, Tensor]:
    """The probe's images and targets, ordered by the images' content.

    A score that takes some of the images, or splits them, then does not depend on the batch's order.
    """
    order = probe.images.flatten(1).double().sum(dim=1).argsort(stable=True)
    place = order.argsort()
    targets = probe.targets.clone()
    targets[:, 0] = place[probe.targets[:, 0].long()].to(targets.dtype)
    return probe.images[order], targets


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

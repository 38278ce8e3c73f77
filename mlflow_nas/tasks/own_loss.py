"""The loss of a user's network, checked."""

import torch
from torch import Tensor, nn

from mlflow_nas.errors import CandidateError

__all__ = ["checked_loss", "own_loss"]


def own_loss(network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """The network's `loss`.

    Raises:
        CandidateError: it has none, or one that can't be minimized.
    """
    loss = getattr(network, "loss", None)
    if not callable(loss):
        raise CandidateError(
            f"{type(network).__name__} has no method loss(images, targets), and this task has no loss of its "
            "own: define it, returning a scalar."
        )
    return checked_loss(loss(images, targets), network)


def checked_loss(loss: object, network: nn.Module) -> Tensor:
    """A loss that can be minimized: a scalar tensor with a gradient.

    Raises:
        CandidateError: it is something else.
    """
    name = type(network).__name__
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        given = f"a tensor {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise CandidateError(f"The loss of {name} is {given}: return a scalar tensor, such as a mean.")
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise CandidateError(
            f"The loss of {name} has no gradient: compute it from the network's outputs with torch's "
            "operations, without detach, item or no_grad."
        )
    return loss.reshape(())

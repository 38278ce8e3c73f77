"""Jacobian covariance: how differently the network's output reacts to the pixels of different images."""

import torch
from torch import Tensor, nn

from mlflow_nas.estimate.contract import ScoringInputs, UndefinedScoreError
from mlflow_nas.estimate.zerocost.batchnorm import calibrated
from mlflow_nas.estimate.zerocost.passes import ordered, signed_sum

__all__ = ["correlation_score", "input_jacobian", "jacov"]

_IMAGES = 16
_SMALLEST_JACOBIAN = 1e-5
_KAPPA = 1e-5


def jacov(network: nn.Module, inputs: ScoringInputs) -> float:
    """Score of at most 16 images, BatchNorm in mode EC (arXiv:2006.04647, version 1)."""
    images = ordered(inputs)[0][:_IMAGES]
    return correlation_score(input_jacobian(calibrated(network, images), images))


def input_jacobian(network: nn.Module, images: Tensor) -> Tensor:
    """Derivative of the signed sum of the raw output by each image's pixels: float64 [b, 3 H W]."""
    pixels = images.clone().requires_grad_(True)
    (jacobian,) = torch.autograd.grad(signed_sum(network, pixels), pixels)
    return jacobian.flatten(1).double()


def correlation_score(jacobian: Tensor) -> float:
    """Minus the sum of log(v + k) + 1 / (v + k) over the eigenvalues v of the rows' correlation matrix.

    Args:
        jacobian: float64 [b, d].

    Raises:
        UndefinedScoreError: fewer than two rows, or rows of rounding noise.
    """
    if len(jacobian) < 2:
        raise UndefinedScoreError("a correlation needs two images at least")
    size = float(jacobian.abs().mean())
    if size < _SMALLEST_JACOBIAN:
        raise UndefinedScoreError(
            f"degenerate: the Jacobian's mean size {size:.1g} is below {_SMALLEST_JACOBIAN}, rounding noise"
        )
    eigenvalues = torch.linalg.eigvalsh(torch.corrcoef(jacobian)) + _KAPPA
    return -float((eigenvalues.log() + 1 / eigenvalues).sum())

"""Scores of activations and Jacobians against their closed forms."""

import math

import pytest
import torch
from torch import nn

from mlflow_nas.estimate import UndefinedScoreError, run_strategy, strategy_named
from mlflow_nas.estimate.zerocost.jacov import correlation_score, input_jacobian

KAPPA = 1e-5


class _Switches(nn.Module):
    """A ReLU right on the pixels, so that their signs are the code."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.relu(images.clone()) @ torch.ones(images.shape[-1], 1)


def test_jacov_of_identical_images_is_at_its_worst() -> None:
    """One eigenvalue N, the others 0: -699,921.6 for N = 8."""
    score = correlation_score(torch.rand(1, 30, dtype=torch.float64).repeat(8, 1))
    expected = -(math.log(8 + KAPPA) + 1 / (8 + KAPPA) + 7 * (math.log(KAPPA) + 1 / KAPPA))
    assert score == pytest.approx(expected, rel=1e-9)
    assert score == pytest.approx(-699_921.6, abs=0.1)


def test_jacov_of_orthogonal_jacobians_is_at_its_best() -> None:
    """All eigenvalues 1: -N (log(1 + k) + 1 / (1 + k))."""
    basis = torch.linalg.qr(torch.cat([torch.ones(1, 9), torch.rand(8, 9)]).double().T).Q.T[1:5]
    expected = -4 * (math.log(1 + KAPPA) + 1 / (1 + KAPPA))
    assert correlation_score(basis) == pytest.approx(expected, rel=1e-9)


def test_jacov_in_batch_statistics_is_degenerate() -> None:
    """A network that ends in BatchNorm has no input gradient of a plain sum in mode T; noise is refused."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    images = torch.rand(6, 3, 9, 9, requires_grad=True)
    (jacobian,) = torch.autograd.grad(network(images).sum(), images)
    with pytest.raises(UndefinedScoreError, match=r"degenerate: the Jacobian's mean size .* below 1e-05"):
        correlation_score(jacobian.flatten(1).double())


def test_jacov_in_calibrated_statistics_is_not(inputs_of) -> None:
    """The strategy itself runs in mode EC, where the same network has a Jacobian."""
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    images = torch.rand(6, 3, 9, 9)
    assert run_strategy(strategy_named("jacov"), inputs_of(network, images=images)).status == "ok"
    assert float(input_jacobian(network.eval(), images).abs().mean()) > 1e-3


def test_jacov_needs_two_images(inputs_of) -> None:
    """One image has no correlation."""
    score = run_strategy(
        strategy_named("jacov"), inputs_of(nn.Conv2d(3, 4, 3), images=torch.rand(1, 3, 9, 9))
    )
    assert (score.value, score.status) == (None, "failed")
    assert "a correlation needs two images at least" in score.reason


def test_nwot_of_two_images_is_known(inputs_of) -> None:
    """With n units of which d differ det K = d (2 n - d)."""
    images = torch.ones(2, 3, 2, 2)
    images[1].view(-1)[:5] = -1
    score = run_strategy(strategy_named("nwot"), inputs_of(_Switches(), images=images))
    assert score.value == pytest.approx(math.log(5 * (24 - 5)))


def test_nwot_of_one_image_counts_its_units(inputs_of) -> None:
    """A single image gives the logarithm of the number of ReLU units."""
    score = run_strategy(strategy_named("nwot"), inputs_of(_Switches(), images=torch.rand(1, 3, 2, 2)))
    assert score.value == pytest.approx(math.log(12))


def test_nwot_of_identical_images_is_missing(inputs_of) -> None:
    """The determinant is 0 there, whose logarithm is no number to rank by."""
    score = run_strategy(strategy_named("nwot"), inputs_of(_Switches(), images=torch.ones(3, 3, 2, 2)))
    assert (score.value, score.status) == (None, "failed")
    assert "3 pairs of images switch every ReLU alike" in score.reason


def test_nwot_sees_a_relu_that_is_no_module(inputs_of) -> None:
    """A call of torch's relu counts like a module."""

    class Functional(_Switches):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.relu(images)

    score = run_strategy(strategy_named("nwot"), inputs_of(Functional(), images=torch.rand(1, 3, 2, 2)))
    assert score.value == pytest.approx(math.log(12))


def test_nwot_without_relu_is_missing(inputs_of) -> None:
    """A network of other activations has no code."""
    score = run_strategy(strategy_named("nwot"), inputs_of(nn.Sequential(nn.Conv2d(3, 2, 1), nn.SiLU())))
    assert score.reason == "UndefinedScoreError: the network has no ReLU"

"""Running one strategy: seconds, status, seeds, and a model handed back as it was."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.estimate import ScoringInputs, Strategy, UndefinedScoreError, run_strategy, strategy_named


def _strategy(score, **columns) -> Strategy:
    return Strategy(
        **{
            "name": "made-up",
            "family": "zero-cost",
            "needs": ("init",),
            "cost_class": "C0",
            "reference": "this test",
            "score": score,
            **columns,
        }
    )


def test_the_score_is_the_mean_over_seeds_with_its_spread(inputs_of) -> None:
    """Three seeds give three networks; value and standard deviation are those of the three."""
    inputs = replace(inputs_of(nn.Linear(1, 1)), build=lambda seed: nn.Linear(seed + 1, 1), seeds=(0, 1, 5))
    score = run_strategy(_strategy(lambda network, _: network.in_features), inputs)
    assert (score.value, score.status) == (3.0, "ok")
    assert score.spread == pytest.approx(math.sqrt(7))
    assert score.seconds > 0


def test_what_is_better_when_lower_is_turned(inputs_of) -> None:
    """A score is higher for the better architecture, whatever its paper prints."""
    score = run_strategy(_strategy(lambda *_: 2.0, direction="lower"), inputs_of(nn.Linear(1, 1)))
    assert score.value == -2.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_missing(inputs_of, value: float) -> None:
    """Neither NaN nor infinity nor a sentinel stands for a failure."""
    score = run_strategy(_strategy(lambda *_: value), inputs_of(nn.Linear(1, 1)))
    assert (score.value, score.status, score.reason) == (None, "failed", f"made-up is {value}")


def test_a_score_that_raises_is_missing_and_says_why(inputs_of) -> None:
    """An exception's message becomes the reason."""

    def broken(_network: nn.Module, _probe: ScoringInputs) -> float:
        raise UndefinedScoreError("all Jacobians are zero")

    score = run_strategy(_strategy(broken), inputs_of(nn.Linear(1, 1)))
    assert (score.value, score.status) == (None, "failed")
    assert score.reason == "UndefinedScoreError: all Jacobians are zero"


@pytest.mark.parametrize(
    ("need", "without", "reason"),
    [
        ("epochs", {}, "made-up needs the first epochs of a training"),
        ("batch", {"images": torch.zeros(0, 3, 8, 8)}, "made-up needs images"),
        ("labels", {"targets": torch.zeros(0, 7)}, "made-up needs images with boxes"),
    ],
)
def test_what_lacks_its_input_is_not_applicable(inputs_of, need: str, without: dict, reason: str) -> None:
    """A strategy without its inputs does not run, and its status differs from a failure."""
    inputs = replace(inputs_of(nn.Linear(1, 1)), **without)
    score = run_strategy(_strategy(lambda *_: 1.0, needs=(need,)), inputs)
    assert (score.value, score.status, score.reason) == (None, "not_applicable", reason)


def test_a_score_may_spoil_its_network_and_the_caller_gets_it_back(inputs_of) -> None:
    """Weights, buffers, modes, gradients and torch's generator are as they were, even after a failure."""
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    network[0].weight.requires_grad_(False)
    network[1].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def spoil(network: nn.Module, inputs: ScoringInputs) -> float:
        network.requires_grad_(True).train()
        network(inputs.images).sum().backward()
        network[1].momentum = None
        for parameter in network.parameters():
            parameter.data.uniform_()
        raise UndefinedScoreError("on purpose")

    generator = torch.get_rng_state()
    run_strategy(_strategy(spoil), inputs_of(network, images=torch.ones(2, 3, 8, 8)))
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not network[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in network.parameters())
    assert (network[0].training, network[1].training, network[1].momentum) == (True, False, 0.1)


def test_an_unknown_strategy_is_refused_by_name() -> None:
    """The error lists what there is."""
    with pytest.raises(
        ConfigError, match=r"There is no estimation strategy 'flops': choose one of params, macs"
    ):
        strategy_named("flops")

"""Properties of every row of the table that scores one architecture."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from itertools import chain

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.data import load_dataset
from mlflow_nas.estimate import STRATEGIES, Score, ScoringInputs, Strategy, run_strategy
from mlflow_nas.estimate.scoring_images import scoring_images
from mlflow_nas.space import build_detector, fastestdet_head

ROWS = {row.name: row for row in chain(STRATEGIES, *(row.parts for row in STRATEGIES))}
SINGLE = [row for row in ROWS.values() if row.score or row.curve]
ARCHITECTURE = {"kernel_size": 3, "groups": 2, "channels": 24, "img_width": 220}
EPOCHS = tuple(
    {"train_loss": 4 / epoch, "quality": 0.6 - 0.5 / epoch, "map_50_fp32": 0.8 - 0.5 / epoch}
    for epoch in range(1, 7)
)
SIDE = 64
NOT_FOR_ONE_IMAGE = {"jacov", "zico"}

pytestmark = pytest.mark.filterwarnings("error")


def _network(seed: int) -> nn.Module:
    return build_detector(ARCHITECTURE, num_classes=1, seed=seed)


@pytest.fixture(scope="module")
def inputs() -> ScoringInputs:
    """The detector on six small generated scenes."""
    dataset = load_dataset("synthetic:train=8,val=4,size=96", split="train", classes=("person",))
    images, targets = scoring_images(dataset, img_size=(SIDE, SIDE), count=6)
    return ScoringInputs(
        architecture=ARCHITECTURE,
        encoding=fastestdet_head().encode(ARCHITECTURE),
        img_size=(SIDE, SIDE),
        build=cache(_network),
        images=images,
        targets=targets,
        loss=lambda network, batch, boxes: network.loss(batch, boxes),
        seeds=(0, 1),
        history=EPOCHS,
        horizon=20,
    )


every_single = pytest.mark.parametrize("strategy", SINGLE, ids=lambda row: row.name)
every_score = pytest.mark.parametrize(
    "strategy", [row for row in SINGLE if row.score], ids=lambda row: row.name
)


@pytest.fixture(scope="module")
def scores(inputs: ScoringInputs) -> Mapping[str, Score]:
    """Each strategy's score of the detector."""
    return {row.name: run_strategy(row, inputs) for row in SINGLE}


def _state(network: nn.Module) -> Mapping[str, object]:
    """Everything of a network that a score could leave changed."""
    modules = dict(network.named_modules())
    return {
        "tensors": {name: tensor.clone() for name, tensor in network.state_dict().items()},
        "modules": {name: type(module) for name, module in modules.items()},
        "modes": {name: module.training for name, module in modules.items()},
        "momentum": {name: getattr(module, "momentum", None) for name, module in modules.items()},
        "hooks": sum(
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in modules.values()
        ),
        "own_forwards": [name for name, module in modules.items() if "forward" in vars(module)],
        "gradients": [parameter.grad for parameter in network.parameters()],
        "wanted": [parameter.requires_grad for parameter in network.parameters()],
    }


@every_single
def test_the_same_seeds_give_the_same_score(
    strategy: Strategy, inputs: ScoringInputs, scores: Mapping[str, Score]
) -> None:
    """Whatever was drawn before, the score repeats to the last bit, and it is a number."""
    first = scores[strategy.name]
    torch.rand(7)
    second = run_strategy(strategy, inputs)
    assert first.status == "ok", first.reason
    assert first.value is not None
    assert math.isfinite(first.value)
    assert (first.value, first.spread) == (second.value, second.spread)


@every_score
def test_the_network_is_restored(strategy: Strategy, inputs: ScoringInputs) -> None:
    """Weights, buffers, modes, gradients, hooks and torch's generator are as before, partly frozen or not."""
    network = _network(0).train()
    network.get_submodule("backbone").requires_grad_(False).eval()
    before, generator = _state(network), torch.get_rng_state()
    run_strategy(strategy, replace(inputs, build=lambda _seed: network, seeds=(0,)))
    after = _state(network)
    tensors = after["tensors"], before["tensors"]
    assert all(torch.equal(tensors[0][name], tensor) for name, tensor in tensors[1].items())
    assert {k: v for k, v in after.items() if k != "tensors"} == {
        k: v for k, v in before.items() if k != "tensors"
    }
    assert torch.equal(torch.get_rng_state(), generator)


@every_score
def test_the_order_of_the_images_plays_no_part(
    strategy: Strategy, inputs: ScoringInputs, scores: Mapping[str, Score]
) -> None:
    """Images and their boxes in another order give the same score, up to rounding."""
    order = torch.tensor([3, 5, 0, 4, 1, 2])
    targets = inputs.targets.clone()
    targets[:, 0] = order.argsort()[targets[:, 0].long()].float()
    turned = replace(inputs, images=inputs.images[order], targets=targets)
    expected = scores[strategy.name].value
    assert run_strategy(strategy, turned).value == pytest.approx(expected, rel=1e-3)


@every_score
def test_one_image_is_scored_or_refused(strategy: Strategy, inputs: ScoringInputs) -> None:
    """With a single image a score is a number, or missing with a reason."""
    first = inputs.targets[:, 0] == 0
    score = run_strategy(strategy, replace(inputs, images=inputs.images[:1], targets=inputs.targets[first]))
    if strategy.name in NOT_FOR_ONE_IMAGE:
        assert (score.value, score.status) == (None, "failed")
        assert "image" in score.reason
    else:
        assert score.value is not None
        assert math.isfinite(score.value)


@every_score
def test_a_network_of_broken_weights_scores_a_number_or_fails(
    strategy: Strategy, inputs: ScoringInputs
) -> None:
    """Weights that are not a number never make a score that is not one."""

    def broken(seed: int) -> nn.Module:
        network = _network(seed)
        with torch.no_grad():
            next(network.parameters()).fill_(math.nan)
        return network

    score = run_strategy(strategy, replace(inputs, build=broken, seeds=(0,)))
    assert (score.status == "failed") == (score.value is None)
    assert score.value is None or math.isfinite(score.value)


def _permuted(network: nn.Sequential) -> nn.Sequential:
    """The same function with the channels between the two convolutions in another order."""
    order = torch.tensor([2, 0, 3, 1, 5, 4])
    other = _small()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other[0].weight.copy_(network[0].weight[order])
        other[1].weight.copy_(network[1].weight[order])
        other[1].bias.copy_(network[1].bias[order])
        other[3].weight.copy_(network[3].weight[:, order])
    return other


def _small() -> nn.Sequential:
    layers = (nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 2, 1, bias=False))
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    "strategy",
    [row for row in SINGLE if row.score and not row.name.startswith(("zen", "az_"))],
    ids=lambda row: row.name,
)
def test_the_order_of_channels_plays_no_part(
    strategy: Strategy, inputs_of: Callable[..., ScoringInputs]
) -> None:
    """A network whose inner channels are renumbered computes the same and scores the same."""
    torch.manual_seed(0)
    network, images = _small(), torch.rand(5, 3, 9, 9)
    nn.init.uniform_(network[1].weight, 0.5, 2)

    def loss(raw: Tensor, _targets: Tensor) -> Tensor:
        return raw.square().mean() + raw[:, 0].mean()

    scores = [
        run_strategy(strategy, inputs_of(one, images=images, loss=loss)).value
        for one in (network, _permuted(network))
    ]
    assert scores[0] is not None
    assert scores[1] == pytest.approx(scores[0], rel=1e-4)


def test_the_table_is_complete_and_consistent() -> None:
    """Names are unique, each row has one way to score, and only fitted rows ask for samples."""
    assert len({row.name for row in STRATEGIES}) == len(STRATEGIES)
    for row in STRATEGIES:
        ways = (row.score, row.curve, row.one_shot, row.fit, row.aggregate)
        assert sum(way is not None for way in ways) == 1, row.name
        assert (row.fit is not None) == ("samples" in row.needs) == (row.min_samples > 0), row.name
        assert row.parts or row.aggregate is None, row.name
        assert row.reference, row.name

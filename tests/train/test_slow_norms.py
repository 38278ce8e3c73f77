"""BatchNorm statistics after short trainings."""

import torch
from small import make_data, make_network, train
from torch import nn

from mlflow_nas.train import Recipe
from mlflow_nas.train.slow_norms import stale_norms, take_statistics


def test_a_slow_momentum_keeps_first_statistics() -> None:
    """Those of torch's .1 are gone after 44 steps, MobileNetV3's of .01 after 459."""
    network = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, momentum=0.01), nn.InstanceNorm2d(2))
    assert [len(stale_norms(network, steps=steps)) for steps in (43, 44, 458, 459)] == [2, 1, 1, 0]
    assert not stale_norms(network, steps=1, frozen=network)


def test_statistics_are_the_mean_over_batches() -> None:
    """Momentum and mode are as before."""
    network = nn.Sequential(nn.BatchNorm2d(1, momentum=0.01), nn.Dropout(0.9))
    norm = network[0]
    norm.running_mean.fill_(99)  # type: ignore[union-attr]  # it has one
    take_statistics(
        network, stale_norms(network, steps=1), [torch.ones(2, 1, 4, 4), 3 * torch.ones(2, 1, 4, 4)]
    )
    assert norm.running_mean.item() == 2  # type: ignore[union-attr]  # as above
    assert (norm.momentum, norm.training, network.training) == (0.01, False, False)


def test_a_short_training_ends_with_statistics_of_its_images() -> None:
    """Although its momentum would have kept the first ones; a frozen part keeps its own."""
    network = make_network()
    for norm in (network.backbone.stage2[1], network.head[2]):
        norm.momentum = 1e-6
    train(network, make_data("none"), recipe=Recipe(freeze="backbone", augmentation="none"))
    assert network.backbone.stage2[1].running_mean.abs().max() == 0
    assert network.head[2].running_mean.abs().max() > 1e-3

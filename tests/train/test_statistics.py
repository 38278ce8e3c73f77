"""BatchNorm statistics taken anew."""

import copy

import pytest
import torch
from small import BATCH, TRAIN, equal, make_data, make_network
from torch import nn

from mlflow_nas.train import retake_statistics


def _spoilt() -> nn.Module:
    """A network whose statistics are those of no images."""
    network = make_network().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(7.0)
    return network


def _closeness(network: nn.Module) -> float:
    """How near a BatchNorm's outputs are to the mean 0 that right statistics give, on training images."""
    conv1 = network.get_submodule("backbone.conv1")
    assert isinstance(conv1, nn.Sequential)
    with torch.inference_mode():
        means = [float(conv1[:2](batch.images).mean()) for batch in make_data().batches("train")]
    return -abs(sum(means) / len(means))


def test_statistics_of_the_images_replace_others_where_that_is_better() -> None:
    """The weights stay; the network is in eval mode."""
    network = _spoilt()
    before = copy.deepcopy(network)
    assert retake_statistics(network, make_data(), quality=_closeness)
    assert _closeness(network) == pytest.approx(0, abs=0.2)
    assert _closeness(before) < -1
    assert not network.training
    assert all(
        torch.equal(own, other) for own, other in zip(network.parameters(), before.parameters(), strict=True)
    )


@pytest.mark.parametrize("gain", [0.0, -1.0])
def test_statistics_stay_where_nothing_is_gained(gain: float) -> None:
    """Equal or worse on the training images: not a bit changes."""
    network = _spoilt()
    before = copy.deepcopy(network)
    assert not retake_statistics(network, make_data(), quality=lambda one: 0.0 if one is network else gain)
    assert equal(network, before)


def test_every_training_image_counts() -> None:
    """In differently augmented passes."""
    network = _spoilt()
    retake_statistics(network, make_data(), quality=lambda one: float(one is not network))
    norm = network.get_submodule("backbone.conv1.1")
    assert isinstance(norm, nn.BatchNorm2d)
    assert int(norm.num_batches_tracked or 0) == 2 * TRAIN // BATCH

"""A BatchNorm merged into the convolution before it changes nothing but rounding."""

import copy

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.space import build_detector, fastestdet_head
from mlflow_nas.train.fusion import fuse_batch_norms


def _trained(network: nn.Module) -> nn.Module:
    """Statistics and scales as a training leaves them: none is 0 or 1."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None:
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    return network.eval()


def _batch_norms(network: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in network.modules())


@torch.inference_mode()
def test_a_detector_gives_the_same_without_its_batch_norms() -> None:
    """All of its BatchNorms follow a convolution; the network itself keeps its own."""
    network = _trained(build_detector(fastestdet_head().baseline, num_classes=2, seed=0))
    before = copy.deepcopy(network.state_dict())
    fused = fuse_batch_norms(network.train())
    images = torch.rand(2, 3, 96, 128)
    assert torch.allclose(fused(images), network.eval()(images), atol=1e-4)
    assert (_batch_norms(fused), fused.training) == (0, False)
    assert _batch_norms(network) > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


class _Reversed(nn.Sequential):
    def forward(self, images: Tensor) -> Tensor:
        for layer in reversed(list(self)):
            images = layer(images)
        return images


class _Doubled(nn.Conv2d):
    def forward(self, images: Tensor) -> Tensor:
        return 2 * super().forward(images)


@pytest.mark.parametrize(
    "network",
    [
        _Reversed(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(_Doubled(4, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
        nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        nn.ModuleDict({"conv": nn.Conv2d(4, 4, 3), "norm": nn.BatchNorm2d(4)}),
    ],
    ids=["order", "subclass", "own-statistics", "not-behind", "no-sequence"],
)
@torch.inference_mode()
def test_what_cannot_be_merged_stays(network: nn.Module) -> None:
    """A user's network may hold layers in any way."""
    _trained(network)
    fused = fuse_batch_norms(network)
    assert _batch_norms(fused) == _batch_norms(network)
    if not isinstance(network, nn.ModuleDict):
        images = torch.rand(2, 4, 8, 8)
        assert torch.equal(fused(images), network(images))

from pathlib import Path

import pytest
import torch
from original import OriginalDetector
from torch import nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights

BASELINE = fastestdet_head().baseline


def _random_original() -> OriginalDetector:
    """Random weights and BatchNorm statistics that keep every channel alive and different."""
    torch.manual_seed(0)
    network = OriginalDetector()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            module.momentum = None  # the statistics become those of the pass below
    with torch.no_grad():
        network(torch.rand(4, 3, 128, 128))
    return network.eval()


def test_the_published_file_computes_the_same_in_torchvisions_layout(tmp_path: Path) -> None:
    """Original blocks on BGR give what the product's give on RGB; every tensor comes from the file."""
    original = _random_original()
    torch.save(original.state_dict(), tmp_path / "published.pth")
    weights = load_seed_weights(tmp_path / "published.pth")
    network = build_detector(BASELINE, num_classes=80, weights=weights).double().eval()
    assert network.state_dict().keys() == weights.state.keys()
    images = torch.rand(2, 3, 96, 128, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), original.double()(images.flip(1)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stage", ["stage2", "stage3", "stage4"])
def test_two_channels_in_the_wrong_order_would_be_seen(tmp_path: Path, stage: str) -> None:
    """The comparison is sharp: exchanging two inputs of one block's branch changes the output."""
    original = _random_original()
    state, name = original.state_dict(), f"backbone.{stage}.3.branch_main.0.weight"
    order = torch.arange(state[name].shape[1])
    order[[2, 5]] = order[[5, 2]]
    torch.save({**state, name: state[name][:, order]}, tmp_path / "swapped.pth")
    weights = load_seed_weights(tmp_path / "swapped.pth")
    network = build_detector(BASELINE, num_classes=80, weights=weights).eval()
    images = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        assert (network(images) - original(images.flip(1))).abs().max() > 1e-2


def test_a_published_file_without_a_tensor_is_refused(tmp_path: Path) -> None:
    """The sentence names the file and the tensor."""
    state = _random_original().state_dict()
    del state["backbone.stage3.4.branch_main.5.weight"]
    torch.save(state, tmp_path / "half.pth")
    with pytest.raises(ConfigError, match=r"half\.pth .* lacks 'backbone\.stage3\.4\.branch2\.5\.weight'"):
        load_seed_weights(tmp_path / "half.pth")

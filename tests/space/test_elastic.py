"""Spaces from any network, by the channels that torch.fx finds to belong together."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import build_detector, elastic, load_space
from mlflow_nas.space.elastic.groups import find_groups

IMAGES = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))


def _unit(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _Block(nn.Module):
    """A depthwise and a pointwise convolution, a gate as of squeeze-and-excitation, a sum around them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = _unit(channels, channels, groups=channels)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())
        self.project = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, features: Tensor) -> Tensor:
        inner = self.spatial(features)
        out: Tensor = self.project(inner * self.gate(inner))
        out += features
        return out


class _Net(nn.Module):
    """Two stages, three blocks, a linear layer on a flattened 2 x 2 map."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _unit(3, 16, stride=4)
        self.stage = nn.Sequential(_unit(16, 32, stride=4), *(_Block(32) for _ in range(3)))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.last = nn.Linear(4 * 32, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.last(torch.flatten(self.pool(self.stage(self.first(images))), 1))
        return logits


@pytest.fixture
def network() -> _Net:
    """With weights and statistics that differ from channel to channel."""
    torch.manual_seed(1)
    made = _Net()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)  # type: ignore[arg-type]  # it has one
    return made.eval()


def test_sums_products_and_depthwise_convolutions_share_channels(network: _Net) -> None:
    """One group a stage; images and logits are never cut; the blocks of sums can be left out."""
    groups = find_groups(network, IMAGES)
    free = {group.stride: group for group in groups.every if not group.fixed}
    assert {stride: group.channels for stride, group in free.items()} == {4: 16, 16: 32}
    assert groups.blocks == ("stage.1", "stage.2", "stage.3")
    tensors = {axis.tensor for axis in free[16].axes}
    assert {"stage.2.project.1.weight", "stage.1.gate.1.weight", "stage.3.spatial.1.running_var"} <= tensors
    assert next(axis.repeat for axis in free[16].axes if axis.tensor == "last.weight") == 4


def test_channels_without_effect_can_be_cut_without_effect(network: _Net) -> None:
    """The rest computes what it computed: every reader lost the right ones."""
    dead = torch.arange(32) % 2 == 0
    with torch.no_grad():
        for name, module in network.named_modules():
            if isinstance(module, nn.BatchNorm2d) and name.startswith("stage"):
                module.weight[dead] = 0
                module.bias[dead] = 0
    space = elastic(network, task="classification", channels=(50,), img_width=(64, 224))
    assert list(space.parameters) == ["channels_s4", "channels_s16", "img_width"]
    half = build_detector({**space.baseline, "channels_s16": 50}, num_classes=3, space=space).eval()
    with torch.inference_mode():
        torch.testing.assert_close(half(IMAGES), network(IMAGES))
    parameters = [sum(one.numel() for one in net.parameters()) for net in (half, network)]
    assert parameters[0] < 0.6 * parameters[1]


def test_blocks_that_add_nothing_can_be_left_out(network: _Net) -> None:
    """The last ones of their sequence go first."""
    with torch.no_grad():
        for block in (network.stage[2], network.stage[3]):
            block.project[1].weight.zero_()
            block.project[1].bias.zero_()
    space = elastic(network, task="classification", channels=(100,), depth=(34, 100))
    short = build_detector({**space.baseline, "depth": 34}, num_classes=3, space=space).eval()
    assert [type(one).__name__ for one in short.get_submodule("stage")] == [
        "Sequential", "_Block", "Identity", "Identity",
    ]  # fmt: skip
    with torch.inference_mode():
        torch.testing.assert_close(short(IMAGES), network(IMAGES))


def test_a_candidate_starts_from_slices_of_the_seed_network(network: _Net) -> None:
    """Those with the largest scales of the seed, not of the model that the space was made from."""
    space = elastic(network, task="classification")
    seed = {name: value.clone() for name, value in network.state_dict().items()}
    seed["first.1.weight"] = torch.arange(16.0)
    candidate = build_detector({**space.baseline, "channels_s4": 50}, num_classes=3, space=space)
    assert space.transfer is not None
    first = space.transfer(seed, candidate.state_dict())
    assert first["first.1.weight"].tolist() == list(range(8, 16))
    torch.testing.assert_close(first["stage.0.0.weight"], seed["stage.0.0.weight"][:, 8:])


def test_another_number_of_classes_gets_a_last_layer_of_its_own(network: _Net) -> None:
    """Weights of ImageNet are a start for any data."""
    space = elastic(network, task="classification")
    made = build_detector(space.baseline, num_classes=7, space=space)
    assert made(IMAGES).shape == (2, 7)


def test_a_network_that_cannot_be_traced_or_cut_is_told_so() -> None:
    """With what to do instead."""

    class Branching(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images if images.sum() > 0 else -images

    with pytest.raises(
        ConfigError, match=r"^Branching can't be traced by torch\.fx: TraceError: .* Write a SearchSpace"
    ):
        elastic(Branching())
    with pytest.raises(
        ConfigError, match=r"^No channels of Flatten can be cut: write a SearchSpace with `build`"
    ):
        elastic(nn.Flatten())
    with pytest.raises(ConfigError, match=r"percent from 1 to 100, got \(0, 50\)"):
        elastic(_Net(), channels=(0, 50))


def test_a_classifier_of_torchvision_is_a_space_in_five_lines(tmp_path: Path) -> None:
    """All of its stages are cut; every process draws the same weights."""
    file = tmp_path / "mine.py"
    file.write_text(
        "from torchvision.models import mobilenet_v3_small\n"
        "from mlflow_nas.space import elastic\n"
        "SPACE = elastic(\n"
        "    mobilenet_v3_small(), task='classification', channels=(50,), depth=(50,), img_width=(96, 224)\n"
        ")\n"
    )
    space = load_space(f"{file}:SPACE")
    assert space.name == "mobilenetv3"
    assert list(space.parameters) == [
        "channels_last", "channels_s4", "channels_s8", "channels_s16", "channels_s32", "depth", "img_width",
    ]  # fmt: skip
    smallest = {name: parameter.values[0] for name, parameter in space.parameters.items()}
    made = build_detector(smallest, num_classes=2, space=space).eval()
    assert made(IMAGES[:1, :, :96, :96]).shape == (1, 2)
    again = build_detector(smallest, num_classes=2, space=load_space(f"{file}:SPACE"))
    assert all(
        torch.equal(one, other) for one, other in zip(made.parameters(), again.parameters(), strict=True)
    )

"""Scores that count."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mlflow_nas.estimate import complexity, run_strategy, strategy_named
from mlflow_nas.space import build_detector, fastestdet_head
from mlflow_nas.types import Architecture

SMALL = {"kernel_size": 3, "groups": 4, "channels": 32, "img_width": 220}


def test_a_convolution_has_the_parameters_and_macs_of_the_textbook(inputs_of) -> None:
    """c_out c_in / g k^2 parameters, each used once per output cell, at which c_out elements are written."""
    inputs = inputs_of(nn.Conv2d(3, 12, 3, padding=1, groups=3, bias=False), images=torch.rand(1, 3, 10, 6))
    counted = {
        name: run_strategy(strategy_named(name), inputs).value for name in ("params", "macs", "act_elems")
    }
    assert counted == {"params": 12 * 3 / 3 * 9, "macs": 12 * 3 / 3 * 9 * 60, "act_elems": 12 * 60}


def test_macs_of_a_fully_convolutional_network_follow_the_square_of_the_width() -> None:
    """Where every stride divides the size, twice the width costs four times as much."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    assert complexity(network, (64, 64))["macs"] == 4 * complexity(network, (32, 32))["macs"]


@pytest.mark.parametrize("architecture", [fastestdet_head().baseline, SMALL])
def test_counts_equal_those_of_torch(architecture: Architecture) -> None:
    """Counting shapes without computing gives what FlopCounterMode gives on a real forward."""
    network, width = build_detector(architecture, num_classes=2), int(architecture["img_width"])
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.rand(1, 3, width, width))
    assert complexity(network, (width, width))["flops"] == counter.get_total_flops()


def test_what_is_no_convolution_is_counted_too() -> None:
    """Linear layers and matrix products count by torch's formulas."""

    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.linear = nn.Conv2d(3, 4, 3, padding="same", dilation=2), nn.Linear(6, 5)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mixed = self.linear(self.conv(images))
            return mixed.transpose(2, 3) @ mixed

    macs = complexity(Mixer(), (7, 6))["macs"]
    assert macs == 4 * 3 * 9 * 42 + 4 * 7 * 6 * 5 + 4 * 5 * 7 * 5


def test_counting_leaves_the_network_as_it_was() -> None:
    """Afterwards the network computes what it computed before."""
    network = build_detector(SMALL, num_classes=1).eval()
    images = torch.rand(1, 3, 64, 64)
    before = network(images)
    complexity(network, (64, 64))
    assert torch.equal(network(images), before)

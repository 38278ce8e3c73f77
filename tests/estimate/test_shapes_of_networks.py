"""Scores that need no data: SynFlow, Zen, DeepMAD and the parts of AZ-NAS."""

import math

import pytest
import torch
from torch import nn

from mlflow_nas.estimate import run_strategy, strategy_named
from mlflow_nas.estimate.models.ranks import log_rank_sum, pool_ranks
from mlflow_nas.estimate.network import block_ends, conv_layers, output_convolutions
from mlflow_nas.estimate.zerocost.az_nas import entropy, trainability
from mlflow_nas.estimate.zerocost.counts import stage_entropy
from mlflow_nas.space import build_detector, fastestdet_head


def _mlp() -> nn.Sequential:
    """Three layers over 12 pixels, without biases."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(12, 8, bias=False),
        nn.ReLU(),
        nn.Linear(8, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 2, bias=False),
    )


def test_synflow_counts_every_path_once_per_layer(inputs_of) -> None:
    """The sum is L times 1 |W_L| ... |W_1| 1."""
    network = _mlp()
    paths = torch.ones(12, dtype=torch.float64)
    for layer in network:
        if isinstance(layer, nn.Linear):
            paths = layer.weight.detach().double().abs() @ paths
    inputs = inputs_of(network, images=torch.rand(2, 3, 2, 2))
    assert run_strategy(strategy_named("synflow"), inputs).value == pytest.approx(math.log(3 * paths.sum()))


def test_synflow_shifts_by_the_log_of_a_scaled_layer(inputs_of) -> None:
    """One layer times s adds log s."""
    network = _mlp()
    inputs = inputs_of(network, images=torch.rand(2, 3, 2, 2))
    before = run_strategy(strategy_named("synflow"), inputs).value
    with torch.no_grad():
        network[3].weight.mul_(-7)
    after = run_strategy(strategy_named("synflow"), inputs).value
    assert before is not None
    assert after == pytest.approx(before + math.log(7))


def test_synflow_leaves_batch_norm_and_biases_out(inputs_of) -> None:
    """Neither changes the score."""
    convolution = nn.Conv2d(3, 4, 3, bias=False)
    with_bias = nn.Conv2d(3, 4, 3)
    with_bias.weight = convolution.weight
    norm = nn.BatchNorm2d(4)
    nn.init.normal_(norm.weight)
    scores = [
        run_strategy(strategy_named("synflow"), inputs_of(network)).value
        for network in (convolution, nn.Sequential(with_bias, norm))
    ]
    assert scores[0] == scores[1]


def test_zen_of_one_random_convolution_is_known(inputs_of) -> None:
    """A 1x1 convolution without BatchNorm changes by alpha sqrt(c_in) sqrt(2 / pi) C H W on average."""
    c_in, c_out = 3 * 8 * 8, 64
    layers = (nn.PixelUnshuffle(8), nn.Conv2d(c_in, c_out, 1, bias=False), nn.Conv2d(c_out, 1, 1))
    inputs = inputs_of(nn.Sequential(*layers), images=torch.rand(2, 3, 160, 240), seeds=tuple(range(16)))
    value = run_strategy(strategy_named("zen"), inputs).value
    assert value is not None
    expected = 0.01 * math.sqrt(c_in) * math.sqrt(2 / math.pi) * c_out * 20 * 30
    assert math.exp(value) == pytest.approx(expected, rel=0.02)


def test_zen_does_not_depend_on_the_scale_of_a_convolution_before_batch_norm(inputs_of) -> None:
    """Weights are drawn anew: what scale they had plays no part."""
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 2, 1))
    before = run_strategy(strategy_named("zen"), inputs_of(network)).value
    with torch.no_grad():
        network[0].weight.mul_(5)
        network[1].weight.mul_(5)
    assert run_strategy(strategy_named("zen"), inputs_of(network)).value == before


def test_zen_adds_the_batchs_own_deviation(inputs_of) -> None:
    """Where a BatchNorm's input is twice as large the score grows by log 2; the features stay as they are."""

    class Doubled(nn.Conv2d):
        factor = 1.0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) * self.factor

    network = nn.Sequential(Doubled(3, 8, 3), nn.BatchNorm2d(8, eps=1e-12), nn.ReLU(), nn.Conv2d(8, 2, 1))
    before = run_strategy(strategy_named("zen"), inputs_of(network)).value
    network[0].factor = 2.0
    after = run_strategy(strategy_named("zen"), inputs_of(network)).value
    assert before is not None
    assert after == pytest.approx(before + math.log(2), abs=1e-4)


def test_deepmad_of_two_layers_is_computed_by_hand(inputs_of) -> None:
    """Sum of log(k^2 c / g) times (log C + log h w), with weight 8 where there is one resolution only."""
    network = nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(12, 20, 5, padding=2, groups=4),
        nn.Conv2d(20, 1, 1),
    )
    expected = (math.log(20) + math.log(48)) * (math.log(9 * 3) + math.log(25 * 12 / 4))
    assert stage_entropy(conv_layers(network, (6, 8))[:2]) == pytest.approx(expected, rel=1e-12)
    score = run_strategy(strategy_named("deepmad"), inputs_of(network, images=torch.rand(1, 3, 6, 8)))
    assert score.value == pytest.approx(8 * expected, rel=1e-12)


def test_deepmad_loses_log_2_per_layer_whose_groups_double() -> None:
    """The entropy of a stage falls by log 2 for each layer, times the stage's size."""
    one, two = (
        nn.Sequential(*(nn.Conv2d(c, 24, 3, padding=1, groups=groups) for c in (24, 24))) for groups in (2, 4)
    )
    layers = [conv_layers(nn.Sequential(nn.Conv2d(3, 24, 1), network), (6, 6)) for network in (one, two)]
    size = math.log(24) + math.log(36)
    assert stage_entropy(layers[0]) - stage_entropy(layers[1]) == pytest.approx(2 * math.log(2) * size)


def test_deepmad_weighs_the_backbones_stages_and_the_head(inputs_of) -> None:
    """Stages end where the map shrinks; the last of the coarsest map and the whole count on their own."""
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(4, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Upsample(scale_factor=2),
        nn.Conv2d(8, 16, 1),
        nn.Conv2d(16, 1, 1),
    )
    layers = conv_layers(network, (8, 8))
    expected = sum(stage_entropy(layers[:end]) for end in (1, 3)) + 8 * stage_entropy(layers[:4])
    score = run_strategy(strategy_named("deepmad"), inputs_of(network, images=torch.rand(1, 3, 8, 8)))
    assert score.value == pytest.approx(expected)


def test_the_detectors_blocks_end_with_the_searched_head() -> None:
    """Backbone blocks one by one, the neck, the head's shared layers; its output branches are excluded."""
    detector = build_detector(fastestdet_head().baseline, num_classes=1)
    blocks = block_ends(detector, (96, 96))
    assert blocks[0] is detector.backbone.conv1
    assert blocks[-2:] == [detector.neck, detector.head.stem]
    assert len(blocks) == 1 + 4 + 8 + 4 + 2
    assert output_convolutions(detector, (96, 96)) == {"head.objectness.3", "head.box.3"}


def test_the_entropy_of_equal_components_is_their_logarithm() -> None:
    """Four uncorrelated channels of one variance give log 4."""
    features = torch.linalg.qr(torch.cat([torch.ones(64, 1), torch.rand(64, 4)], dim=1).double()).Q[:, 1:]
    assert entropy(features.T.reshape(1, 4, 8, 8)) == pytest.approx(math.log(4), abs=1e-6)


def test_the_entropy_of_one_component_is_zero() -> None:
    """Channels that are multiples of each other have rank 1."""
    one = torch.rand(1, 1, 8, 8)
    assert entropy(torch.cat([one, 2 * one, -one], dim=1)) == pytest.approx(0, abs=1e-6)


def test_a_block_that_keeps_the_gradients_size_is_most_trainable() -> None:
    """A 1x1 convolution by an orthogonal matrix comes to the maximum, 0, as positions become many."""
    torch.manual_seed(0)
    matrix = torch.linalg.qr(torch.rand(6, 6)).Q
    signs = torch.randint(0, 2, (1, 6, 400, 400)).float() * 2 - 1
    pulled = torch.einsum("io,bohw->bihw", matrix, signs)
    assert trainability(pulled, signs) == pytest.approx(0, abs=1e-3)
    assert trainability(3 * pulled, signs) < -1


def test_a_block_that_does_nothing_is_refused() -> None:
    """The identity's gradient is the output's own."""
    signs = torch.ones(1, 2, 4, 4)
    assert trainability(signs, signs) == -math.inf


@pytest.mark.parametrize("size", [(9, 9), (10, 10), (3, 3), (5, 7)])
def test_trainability_brings_maps_of_two_sizes_together(size: tuple[int, int]) -> None:
    """A finer map's cells become channels of the coarser one, also where sizes don't divide, up or down."""
    assert math.isfinite(trainability(torch.rand(2, 3, *size), torch.ones(2, 4, 5, 5)))


def test_ranks_within_a_pool_put_the_missing_last() -> None:
    """The best of four has rank 4 of 4, what is worse than all and what is missing half a rank."""
    pool = torch.tensor([[1.0], [2.0], [3.0], [4.0]]).double().numpy()
    given = torch.tensor([[4.0], [2.5], [0.0], [math.nan]]).double().numpy()
    assert pool_ranks(given, pool).ravel().tolist() == [1.0, 0.5, 0.125, 0.125]


def test_az_nas_adds_the_logarithms_of_ranks() -> None:
    """Two parts at ranks 1 and 1/2 of the pool give log 1 + log 1/2."""
    pool = torch.tensor([[1.0, 1.0], [2.0, 2.0]]).double().numpy()
    assert log_rank_sum(pool[[1]] - [[0, 1]], pool).tolist() == pytest.approx([math.log(0.5)])

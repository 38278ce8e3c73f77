"""Scores of gradients against their closed forms."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.estimate import run_strategy, strategy_named
from mlflow_nas.estimate.zerocost.gradients import hessian_gradient_products
from mlflow_nas.estimate.zerocost.passes import loss_gradients, weights
from mlflow_nas.estimate.zerocost.zico import steadiness, zico


class _Linear(nn.Module):
    """w . x over the pixels of an image, float64."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.layer = nn.Linear(pixels, 1, bias=False, dtype=torch.float64)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1))


def _chain(*, last_norm: bool) -> nn.Sequential:
    """Convolution, BatchNorm, ReLU, convolution and, if wanted, BatchNorm; float64, eps 1e-12."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6, eps=1e-12),
        nn.ReLU(),
        nn.Conv2d(6, 4, 3, padding=1, bias=False),
    ]
    return nn.Sequential(*layers, *([nn.BatchNorm2d(4, eps=1e-12)] if last_norm else [])).double()


def _quartic(raw: Tensor, _targets: Tensor) -> Tensor:
    return (raw - 0.3).pow(4).mean() + raw[:, 0].mul(raw[:, 1]).mean()


def _half_square(raw: Tensor, _targets: Tensor) -> Tensor:
    return (raw - 0.7).square().sum() / 2


def test_grad_norm_of_one_layer_is_residual_times_input(inputs_of) -> None:
    """With L = (w.x - y)^2 / 2 the gradient is (w.x - y) x."""
    network, images = _Linear(12), torch.rand(1, 3, 2, 2, dtype=torch.float64)
    residual = float((network(images) - 0.7).abs().detach())
    score = run_strategy(strategy_named("grad_norm"), inputs_of(network, images=images, loss=_half_square))
    assert score.value == pytest.approx(residual * float(images.norm()))


def test_snip_of_one_layer_is_the_textbook_sum(inputs_of) -> None:
    """With L = (w.x - y)^2 / 2 the score is the sum of |(w.x - y) x_i w_i|."""
    network, images = _Linear(12), torch.rand(1, 3, 2, 2, dtype=torch.float64)
    expected = ((network(images) - 0.7) * images.flatten(1) * network.layer.weight).abs().sum().detach()
    score = run_strategy(strategy_named("snip"), inputs_of(network, images=images, loss=_half_square))
    assert score.value == pytest.approx(float(expected))


def test_fisher_is_half_the_mean_square_of_activation_times_gradient(inputs_of) -> None:
    """Per channel: half the mean over images of (a dL/da)^2, L being the mean over the batch."""
    network, images = _Linear(12), torch.rand(5, 3, 2, 2, dtype=torch.float64)
    a = network(images).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad((a**3).mean(), a)
    inputs = inputs_of(network, images=images, loss=lambda raw, _targets: (raw**3).mean())
    expected = float((a.detach() * gradient).square().mean(dim=0).sum()) / 2
    assert run_strategy(strategy_named("fisher"), inputs).value == pytest.approx(expected)


def test_fisher_sums_over_the_cells_of_a_map(inputs_of) -> None:
    """Of a convolution's map the products are summed over cells before they are squared."""
    network, images = nn.Conv2d(3, 2, 1, bias=False).double(), torch.rand(4, 3, 5, 5, dtype=torch.float64)
    a = network(images).detach()
    expected = (a * 2 * a / a.numel()).sum(dim=(2, 3)).square().mean(dim=0).sum() / 2
    score = run_strategy(strategy_named("fisher"), inputs_of(network, images=images))
    assert score.value == pytest.approx(float(expected))


def test_fisher_without_gradient_is_zero(inputs_of) -> None:
    """Where the loss does not depend on the network nothing is lost by pruning it."""
    inputs = inputs_of(nn.Conv2d(3, 2, 1), loss=lambda raw, _targets: (raw * 0).sum())
    assert run_strategy(strategy_named("fisher"), inputs).value == 0


def test_fisher_does_not_mind_what_works_in_place(inputs_of) -> None:
    """A ReLU that overwrites the convolution's output changes nothing."""
    convolution, images = nn.Conv2d(3, 4, 1), torch.rand(4, 3, 5, 5)
    values = [
        run_strategy(
            strategy_named("fisher"),
            inputs_of(nn.Sequential(convolution, nn.ReLU(inplace=inplace)), images=images),
        ).value
        for inplace in (True, False)
    ]
    assert values[0] == values[1] > 0


def test_weights_before_batch_norm_are_orthogonal_to_their_gradient(inputs_of) -> None:
    """In mode T such weights are scale-invariant: the sum of g w is rounding noise in every layer."""
    images = torch.rand(6, 3, 7, 7, dtype=torch.float64)
    inputs = inputs_of(_chain(last_norm=True), images=images, loss=_quartic)
    for weight, gradient in loss_gradients(inputs.build(0).train(), inputs):
        product = float((weight.detach() * gradient).sum().abs())
        assert product < 1e-10 * float(weight.detach().norm() * gradient.norm())


def test_the_sum_of_weight_times_gradient_is_the_same_in_each_layer(inputs_of) -> None:
    """Without biases and BatchNorm it is <dL/df, f> in every layer of a ReLU network."""
    sizes = (12, 9, 7, 2)
    layers = [
        layer
        for before, after in pairwise(sizes)
        for layer in (nn.Linear(before, after, bias=False), nn.ReLU())
    ]
    network = nn.Sequential(nn.Flatten(), *layers[:-1]).double()
    inputs = inputs_of(network, images=torch.rand(5, 3, 2, 2, dtype=torch.float64), loss=_quartic)
    output = network(inputs.images).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(_quartic(output, inputs.targets), output)
    sums = [float((weight.detach() * slope).sum()) for weight, slope in loss_gradients(network, inputs)]
    assert sums == pytest.approx([float((output.detach() * gradient).sum())] * 3)


def test_grasp_before_batch_norm_equals_the_squared_gradient() -> None:
    """In mode T -sum of w Hg = ||g||^2 in every layer: the double backward is right, and EC is needed."""
    images = torch.rand(6, 3, 7, 7, dtype=torch.float64)
    network = _chain(last_norm=True).train()
    loss = _quartic(network(images), images)
    found = weights(network)
    first = torch.autograd.grad(loss, found, retain_graph=True)
    for weight, gradient, product in zip(found, first, hessian_gradient_products(loss, found), strict=True):
        squared = float(gradient.square().sum())
        assert -float((weight.detach() * product).sum()) == pytest.approx(squared, rel=1e-9)


def test_grasp_of_a_quadratic_is_known(inputs_of) -> None:
    """With L = w.A w / 2 the gradient is A w and the score -w.A A w."""
    root = torch.rand(12, 12, dtype=torch.float64)
    matrix = root @ root.T

    class Quadratic(_Linear):
        def forward(self, images: Tensor) -> Tensor:
            w = self.layer.weight[0]
            return (w @ matrix @ w / 2).expand(len(images), 1)

    network = Quadratic(12)
    w = network.layer.weight[0].detach()
    inputs = inputs_of(network, loss=lambda raw, _targets: raw.mean())
    expected = -float(w @ matrix @ matrix @ w)
    assert run_strategy(strategy_named("grasp"), inputs).value == pytest.approx(expected, rel=1e-9)


def test_grasp_runs_on_calibrated_statistics(inputs_of) -> None:
    """In mode EC the score is not the squared norm of the gradient."""
    images = torch.rand(6, 3, 7, 7, dtype=torch.float64)
    inputs = inputs_of(_chain(last_norm=True), images=images, loss=_quartic)
    squared = sum(
        float(gradient.square().sum()) for _, gradient in loss_gradients(inputs.build(0).train(), inputs)
    )
    value = run_strategy(strategy_named("grasp"), inputs).value
    assert value is not None
    assert abs(value - squared) > 0.1 * squared


def test_zico_of_two_batches_is_the_ratio_of_sum_and_difference() -> None:
    """Log of the sum of (|g1| + |g2|) / |g1 - g2| over the entries in which they differ."""
    layer = torch.tensor([[1.0, 2.0, -3.0], [3.0, 2.0, 1.0]])
    assert steadiness(layer) == pytest.approx(math.log(4 / 2 + 4 / 4))


def test_zico_of_equal_gradients_is_zero() -> None:
    """A layer whose gradients don't vary contributes nothing."""
    assert steadiness(torch.ones(2, 5)) == 0.0


def test_zico_does_not_accumulate(inputs_of) -> None:
    """Asked twice it gives the same, and it takes each minibatch's own gradient."""
    network, images = _Linear(12), torch.rand(4, 3, 2, 2, dtype=torch.float64)
    images = images[images.flatten(1).sum(dim=1).argsort()]
    inputs = inputs_of(network, images=images, loss=lambda raw, _targets: (raw - 0.7).square().mean())
    halves = [2 * ((network(part) - 0.7) * part.flatten(1)).mean(dim=0).detach() for part in images.split(2)]
    expected = math.log(float(((halves[0].abs() + halves[1].abs()) / (halves[0] - halves[1]).abs()).sum()))
    assert [zico(network, inputs), zico(network, inputs)] == pytest.approx([expected] * 2)


def test_zico_shows_each_minibatch_its_own_boxes(inputs_of) -> None:
    """The boxes of the second half are counted from its first image."""
    seen: list[list[float]] = []

    def loss(raw: Tensor, targets: Tensor) -> Tensor:
        seen.append(sorted(targets[:, [0, 2]].flatten().tolist()))
        return raw.square().mean()

    images = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 2, 2).contiguous()
    targets = torch.zeros(4, 7)
    targets[:, 0], targets[:, 2] = torch.arange(4), torch.arange(4) * 10 + 10
    run_strategy(
        strategy_named("zico"), inputs_of(nn.Conv2d(3, 1, 1), images=images, targets=targets, loss=loss)
    )
    assert seen == [[0, 1, 10, 20], [0, 1, 30, 40]]


@pytest.mark.parametrize(
    ("draw", "options", "expected"),
    [
        (nn.init.kaiming_normal_, {}, 2 * 96),
        (nn.init.kaiming_uniform_, {"a": math.sqrt(5)}, 96 / 3),
        (nn.init.kaiming_normal_, {"mode": "fan_out"}, 2 * 48 / 4),
    ],
    ids=["fan-in", "default", "fan-out"],
)
def test_l2_norm_counts_channels(inputs_of, draw, options: dict[str, object], expected: float) -> None:
    """E||W||^2 is 2 c_out, c_out / 3 or 2 c_in / groups: kernel and input size play no part."""
    network = nn.Conv2d(48, 96, 3, groups=4, bias=False)
    torch.manual_seed(0)
    draw(network.weight, **options)
    value = run_strategy(strategy_named("l2_norm"), inputs_of(network)).value
    assert value is not None
    assert value**2 == pytest.approx(expected, rel=0.05)

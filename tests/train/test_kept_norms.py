"""BatchNorm layers that keep the seed network's statistics."""

from collections.abc import Sequence

import pytest
import torch
from small import make_data, make_network, train

from mlflow_nas.train import Recipe, fastestdet_recipe, kept_norms

TRUNK = ("backbone.conv1.1", "backbone.stage2.1")


@pytest.mark.parametrize(
    ("changed", "kept"),
    [
        ((), (*TRUNK, "head.2")),
        (("head.1.weight",), TRUNK),
        (("backbone.conv1.0.weight", "head.1.weight"), ()),
    ],
)
def test_layers_in_front_of_what_was_sliced_keep_their_statistics(
    changed: Sequence[str], kept: Sequence[str]
) -> None:
    """All of a network that equals the seed, else those of a trunk that does."""
    network = make_network()
    unchanged = {name for name, _ in network.named_parameters()} - {*changed}
    found = kept_norms(network, unchanged=unchanged, trunk="backbone")
    assert tuple(found) == kept
    assert all(network.get_submodule(name) is layer for name, layer in found.items())
    assert not kept_norms(network, unchanged=(), trunk=None)


def _means(recipe: Recipe) -> list[tuple[bool, bool]]:
    """Of a training of the seed itself: which statistics stayed, and whether the scales beside them moved."""
    network = make_network()
    norms = [network.get_submodule(name) for name in (*TRUNK, "head.2")]
    before = [(norm.running_mean.clone(), norm.weight.clone()) for norm in norms]  # type: ignore[operator,union-attr]  # BatchNorms
    names = [name for name, _ in network.named_parameters()]
    train(network, make_data(), recipe=recipe, unchanged=names)
    return [
        (torch.equal(norm.running_mean, mean), torch.equal(norm.weight, weight))  # type: ignore[arg-type]  # as above
        for norm, (mean, weight) in zip(norms, before, strict=True)
    ]


def test_a_training_of_the_seed_keeps_its_statistics_and_trains_the_rest() -> None:
    """To the bit, with the recipe of the project; FastestDet's own takes those of its batches."""
    assert _means(Recipe()) == [(True, False)] * 3
    assert [stayed for stayed, _ in _means(fastestdet_recipe())] == [False] * 3

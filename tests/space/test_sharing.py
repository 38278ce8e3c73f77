"""Weights that all architectures of a space share."""

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from tiny_space import tiny_space
from torch import Tensor, nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import (
    SearchSpace,
    SeedWeights,
    SharedWeights,
    build_detector,
    fastestdet_head,
    load_space,
    single_changes,
)
from mlflow_nas.types import Architecture

NARROW = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}
State = Mapping[str, Tensor]


def _trained(space: SearchSpace) -> SeedWeights:
    """A baseline whose weights are all different from fresh ones."""
    state = build_detector(space.baseline, space=space, num_classes=2, seed=5).state_dict()
    moved = {n: v + 0.1 * torch.rand_like(v) if v.is_floating_point() else v for n, v in state.items()}
    return SeedWeights(state=moved, source="trained.pth")


def _shared(space: SearchSpace, seed: SeedWeights, *, frozen: str | None = None) -> SharedWeights:
    names = [name for name, _ in space.build(space.baseline, 2).named_parameters()]
    return SharedWeights(seed, space.transfer, trained=names, frozen=frozen)


def _fresh(space: SearchSpace, architecture: Architecture) -> nn.Module:
    return build_detector(architecture, space=space, num_classes=2, seed=3)


@pytest.mark.parametrize("name", ["fastestdet-head", "chain", "multi-branch", "cell"])
def test_members_begin_with_the_weights_that_the_transfer_gives(name: str) -> None:
    """Bit for bit, buffers too, in every shipped space."""
    space = load_space(name)
    seed = _trained(space)
    shared, architecture = _shared(space, seed), space.draw(random.Random(0))
    wanted = build_detector(architecture, space=space, num_classes=2, weights=seed, seed=3).state_dict()
    network = _fresh(space, architecture)
    values = shared.attach(network).of(shared.tensors)
    assert values.keys() == {name for name, _ in network.named_parameters()}
    assert all(torch.equal(values[name], wanted[name]) for name in values)
    assert all(torch.equal(value, wanted[name]) for name, value in network.state_dict().items())


def test_a_member_has_slices_of_the_shared_tensors() -> None:
    """A gradient reaches the slice alone: a kernel's centre, the channels of the member."""
    space = fastestdet_head()
    shared = _shared(space, _trained(space))
    values = shared.attach(_fresh(space, NARROW)).of(shared.tensors)
    values["head.box.0.weight"].sum().backward()
    gradient = shared.tensors["head.box.0.weight"].grad
    assert gradient is not None
    assert gradient.shape == (96, 1, 5, 5)
    assert (gradient.sum(), gradient[:, :, 1:4, 1:4].sum()) == (24 * 9, 24 * 9)


def test_channels_stay_those_of_the_seed_network() -> None:
    """Scales that training makes small do not change which channels a member has."""
    space = fastestdet_head()
    seed = _trained(space)
    shared, name = _shared(space, seed), "head.stem.1.weight"
    weights = shared.attach(_fresh(space, NARROW))
    channels = torch.isin(seed.state[name], weights.of(shared.tensors)[name].detach())
    with torch.no_grad():
        shared.tensors[name][channels] = torch.arange(24.0) / 1e3
    assert torch.equal(weights.of(shared.tensors)[name].detach(), torch.arange(24.0) / 1e3)


def test_a_frozen_part_is_no_shared_tensor() -> None:
    """A frozen backbone is a constant, and its channels are still what the neck is ordered by."""
    space = load_space("chain")
    seed, shorter = _trained(space), {**load_space("chain").baseline, "stage4_depth": 2}
    shared = _shared(space, seed, frozen="backbone.")
    assert not any(name.startswith("backbone.") for name in shared.tensors)
    network = _fresh(space, shorter)
    reduced = shared.attach(network).of(shared.tensors)["neck.reduce.0.weight"]
    wanted = build_detector(shorter, space=space, num_classes=2, weights=seed).state_dict()
    assert torch.equal(reduced, wanted["neck.reduce.0.weight"])
    assert not torch.equal(reduced, seed.state["neck.reduce.0.weight"])


def test_a_mean_of_tensors_stays_a_mean_of_the_trained_ones() -> None:
    """What the transfer computes is differentiable, not only what it slices."""
    space = load_space("multi-branch")
    shared = _shared(space, _trained(space))
    weights = shared.attach(_fresh(space, {**space.baseline, "fusion": "sum"}))
    with torch.no_grad():
        for chain, part in enumerate(shared.tensors["neck.fuse.0.weight"].chunk(3, dim=1)):
            part.fill_(float(chain))
    assert torch.equal(weights.of(shared.tensors)["neck.mix.0.weight"], torch.ones(96, 96, 1, 1))


def test_what_the_seed_lacks_is_shared_by_shape() -> None:
    """Tensors that a user's transfer leaves to the candidate are the same for all that have their shape."""
    space = tiny_space()
    shared = _shared(space, _trained(space))
    architecture = {**space.baseline, "channels": 8}
    first, second = (
        shared.attach(_fresh(space, {**architecture, "img_width": width})) for width in (64, 128)
    )
    name = "head.0.weight"
    assert first.of(shared.tensors)[name] is second.of(shared.tensors)[name]
    assert torch.equal(first.of(shared.tensors)["head.4.weight"], shared.tensors["head.4.weight"])


def test_what_the_seed_lacks_is_sliced_from_the_largest() -> None:
    """An operation of `cell` that no baseline has is one tensor for all numbers of channels."""
    space = load_space("cell")
    shared = _shared(space, _trained(space))
    for architecture in single_changes(space):
        if architecture["edge02"] == "dw3":
            shared.extend(_fresh(space, architecture))
    narrow = {**space.baseline, "edge02": "dw3", "channels": 24}
    known, name = len(shared.tensors), "neck.cells.0.edges.edge02_dw.0.weight"
    shared.attach(_fresh(space, narrow)).of(shared.tensors)[
        "neck.cells.0.edges.edge02_dw.0.weight"
    ].sum().backward()
    gradient = shared.tensors[name].grad
    assert gradient is not None
    assert (gradient.shape, gradient.sum(), len(shared.tensors)) == ((96, 1, 3, 3), 24 * 9, known)


def test_a_transfer_that_changes_tensors_in_place_has_weights_of_its_own() -> None:
    """A record that does not repeat the transfer is not used."""

    def halved(seed: State, candidate: State) -> dict[str, Tensor]:
        state = {name: seed.get(name, own).clone() for name, own in candidate.items()}
        state["head.4.weight"].mul_(0.5)
        return state

    space = replace(tiny_space(), transfer=halved)
    seed = _trained(space)
    shared = _shared(space, seed)
    values = shared.attach(_fresh(space, space.baseline)).of(shared.tensors)
    assert torch.equal(values["head.4.weight"], seed.state["head.4.weight"] / 2)
    assert values["head.0.weight"] is not shared.tensors["head.0.weight"]
    assert torch.equal(values["head.0.weight"], seed.state["head.0.weight"])


def test_weights_of_another_network_are_refused() -> None:
    """The sentence names the file."""
    seed = SeedWeights(state={"head.0.weight": torch.zeros(1)}, source="other.pth")
    space = fastestdet_head()
    with pytest.raises(ConfigError, match=r"The weights other\.pth are not those of the baseline network"):
        SharedWeights(seed, space.transfer, trained=()).attach(_fresh(space, NARROW))

"""The built-in spaces: the contract that all of them keep, and what is particular to each."""

import sys
from pathlib import Path

import pytest
import torch

from mlflow_nas.space import (
    SPACES,
    SearchSpace,
    SeedWeights,
    build_detector,
    fastestdet_head,
    is_whole,
    load_seed_weights,
    load_space,
)

sys.path.append(str(Path(__file__).parents[1]))
from contract.space_contract import SpaceContract

IMAGES = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))


def _trained(space: SearchSpace) -> SeedWeights:
    """A baseline with running statistics and scales like those of a trained one."""
    network = build_detector(space.baseline, space=space, num_classes=1, seed=2)
    network.train()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.02 * torch.rand_like(weight))
        for _ in range(3):
            network.raw(IMAGES)
    return SeedWeights(state=network.state_dict(), source="trained.pth")


class TestFastestDetHead(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space `fastestdet-head`."""
        return load_space("fastestdet-head")


class TestChain(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space `chain`."""
        return load_space("chain")

    def test_a_larger_kernel_computes_the_same_at_first(self, space: SearchSpace) -> None:
        """It is the small one in a ring of zeros."""
        seed = _trained(space)
        same, larger = (
            build_detector({**space.baseline, **change}, space=space, num_classes=1, weights=seed).eval()
            for change in ({}, {"stage2_kernel": 5, "stage3_kernel": 5, "stage4_kernel": 5})
        )
        with torch.inference_mode():
            torch.testing.assert_close(larger(IMAGES), same(IMAGES), atol=1e-4, rtol=1e-4)

    def test_a_shorter_stage_is_the_seed_without_its_last_branches(self, space: SearchSpace) -> None:
        """The whole network computes what the seed does whose last blocks only shuffle their input."""
        seed = _trained(space)
        seed_network = build_detector(space.baseline, space=space, num_classes=1, weights=seed).eval()
        for stage, block in ((2, 3), (3, 6), (3, 7), (4, 3)):
            seed_network.get_submodule(f"backbone.stage{stage}.{block}").branch2 = torch.nn.Identity()
        shorter = {"stage2_depth": 3, "stage3_depth": 6, "stage4_depth": 3}
        network = build_detector(
            {**space.baseline, **shorter}, space=space, num_classes=1, weights=seed
        ).eval()
        with torch.inference_mode():
            torch.testing.assert_close(network(IMAGES), seed_network(IMAGES), atol=1e-4, rtol=1e-4)

    def test_a_narrower_block_keeps_the_channels_with_the_largest_scales(self, space: SearchSpace) -> None:
        """The network computes what the seed does with the other inner channels set to zero."""
        seed = _trained(space)
        state = {name: value.clone() for name, value in seed.state.items()}
        for name in [name for name in state if name.startswith("backbone.stage4.") and "branch2.4.w" in name]:
            scales = state[name].abs() + state[name.replace("branch2.4", "branch2.1")].abs()
            lost = scales.argsort(descending=True, stable=True)[32:]
            state[name.replace("branch2.4", "branch2.5")][:, lost] = 0
        narrow = {**space.baseline, "stage4_width": 32}
        network = build_detector(narrow, space=space, num_classes=1, weights=seed).eval()
        zeroed = build_detector(
            space.baseline, space=space, num_classes=1, weights=SeedWeights(state, "zeroed.pth")
        ).eval()
        with torch.inference_mode():
            torch.testing.assert_close(network(IMAGES), zeroed(IMAGES), atol=1e-4, rtol=1e-4)


class TestMultiBranch(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space `multi-branch`."""
        return load_space("multi-branch")

    def test_a_missing_branch_is_the_seed_without_it(self, space: SearchSpace) -> None:
        """The network computes what the seed does with that chain's part of the fusion set to zero."""
        seed = _trained(space)
        state = {name: value.clone() for name, value in seed.state.items()}
        state["neck.fuse.0.weight"][:, 96:192] = 0
        without = {**space.baseline, "branch2": "none"}
        network = build_detector(without, space=space, num_classes=1, weights=seed).eval()
        zeroed = build_detector(
            space.baseline, space=space, num_classes=1, weights=SeedWeights(state, "zeroed.pth")
        ).eval()
        with torch.inference_mode():
            torch.testing.assert_close(network(IMAGES), zeroed(IMAGES), atol=1e-4, rtol=1e-4)

    def test_a_sum_gets_the_mean_of_the_fusions_parts(self, space: SearchSpace) -> None:
        """Of the branches that are there."""
        seed = _trained(space)
        chosen = {**space.baseline, "branch1": "none", "fusion": "sum"}
        state = build_detector(chosen, space=space, num_classes=1, weights=seed).state_dict()
        whole = seed.state["neck.fuse.0.weight"]
        torch.testing.assert_close(state["neck.mix.0.weight"], (whole[:, 96:192] + whole[:, 192:]) / 2)


class TestCell(SpaceContract):
    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space `cell`."""
        return load_space("cell")

    def test_an_operation_that_the_seed_lacks_begins_as_a_skip(self, space: SearchSpace) -> None:
        """Its convolution hands each channel on."""
        chosen = {**space.baseline, "edge03": "dw5", "edge02": "conv1"}
        network = build_detector(chosen, space=space, num_classes=1, weights=_trained(space))
        edges = network.get_submodule("neck.cells.0.edges")
        features = torch.rand(1, 96, 6, 6)
        for edge in ("edge03_dw", "edge02_co"):
            torch.testing.assert_close(edges.get_submodule(f"{edge}.0")(features), features)

    def test_a_cell_without_a_way_hands_its_input_on(self, space: SearchSpace) -> None:
        """All edges none: no weights, the identity."""
        nothing = {f"edge{edge}": "none" for edge in ("01", "02", "12", "03", "13", "23")}
        network = build_detector({**space.baseline, **nothing}, space=space, num_classes=1)
        cells = network.get_submodule("neck.cells")
        assert list(cells.parameters()) == []
        assert torch.equal(cells(IMAGES), IMAGES)

    def test_published_weights_are_a_start_and_no_seed_network(
        self, space: SearchSpace, fastestdet_weights: Path
    ) -> None:
        """Backbone, reduction and outputs come from FastestDet; a study then trains its own seed network."""
        published = load_seed_weights(fastestdet_weights)
        assert not is_whole(published, space, num_classes=80)
        state = build_detector(space.baseline, space=space, num_classes=80, weights=published).state_dict()
        for own, original in (
            ("backbone.stage3.7.branch2.5.weight", "backbone.stage3.7.branch2.5.weight"),
            ("neck.reduce.0.weight", "neck.reduce.0.weight"),
            ("head.box.0.weight", "head.box.3.weight"),
        ):
            assert torch.equal(state[own], published.state[original])


@pytest.mark.parametrize("name", ["chain", "multi-branch"])
def test_a_baseline_is_the_published_detector(name: str, fastestdet_weights: Path) -> None:
    """The same tensors, the same outputs."""
    published = load_seed_weights(fastestdet_weights)
    space = load_space(name)
    assert is_whole(published, space, num_classes=80)
    same = build_detector(space.baseline, space=space, num_classes=80, weights=published).eval()
    head = build_detector(fastestdet_head().baseline, num_classes=80, weights=published).eval()
    assert same.state_dict().keys() == published.state.keys()
    with torch.inference_mode():
        assert torch.equal(same(IMAGES), head(IMAGES))


def test_sizes() -> None:
    """As each space's docstring says."""
    sizes = {name: load_space(name).size for name in SPACES}
    assert sizes == {"fastestdet-head": 2_080, "chain": 252_720, "multi-branch": 54_600, "cell": 72_783_360}

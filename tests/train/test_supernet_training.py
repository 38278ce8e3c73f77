"""Training and measuring a supernet of tiny networks."""

from pathlib import Path

import pytest
import torch
from small import make_data
from tiny_space import tiny_space
from torch import Tensor, nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.space import SeedWeights, build_detector, transfer_same
from mlflow_nas.tasks import DETECTION
from mlflow_nas.train import Recipe, Teacher
from mlflow_nas.train.recipe import Freeze
from mlflow_nas.train.supernet import (
    MemberBatches,
    Members,
    SupernetTraining,
    evaluate_member,
    sandwich,
    with_statistics,
)
from mlflow_nas.types import Architecture

SPACE = tiny_space()
LARGEST, SMALLEST = dict(SPACE.baseline), {"channels": 8, "kernel_size": 1, "img_width": 64}
MIDDLE = {"channels": 16, "kernel_size": 3, "img_width": 64}
STEPS, CPU = 4, torch.device("cpu")


def _build(architecture: Architecture) -> nn.Module:
    return build_detector(architecture, num_classes=1, space=SPACE)


def _seed() -> SeedWeights:
    return SeedWeights(state=_build(SPACE.baseline).state_dict(), source="seed.pth")


def _members(*, freeze: Freeze = "backbone", shares_backbone: bool = True) -> Members:
    frozen = {"none": None, "stem": SPACE.stem, "backbone": SPACE.trunk}[freeze]
    return Members(
        SPACE,
        _build,
        _seed(),
        transfer=transfer_same,
        frozen=frozen,
        shares_backbone=shares_backbone,
        device=CPU,
    )


def _batches(members: Members, *, teacher: bool = False) -> MemberBatches:
    network = _build(SPACE.baseline)
    _seed().fill(network)
    return MemberBatches(
        make_data(),
        backbone=members.backbone,
        trunk="backbone",
        teacher=Teacher(network) if teacher else None,
        device=CPU,
    )


def _draw(step: int) -> list[Architecture]:
    sizes = [{"img_width": 64}]
    return sandwich(step, extremes=[LARGEST, SMALLEST], pool=[MIDDLE, LARGEST], sizes=sizes, seed=0)


def _train(members: Members, **changes: object) -> dict[str, Tensor]:
    batches = _batches(members, teacher=True)
    settings = {
        "members": members,
        "batches": lambda _architecture: batches,
        "draw": _draw,
        "recipe": Recipe(freeze="backbone"),
        "steps": STEPS,
        "steps_per_epoch": 2,
        "seed": 0,
    }
    return SupernetTraining(**{**settings, **changes}).run()  # type: ignore[arg-type]  # settings of a test


def test_a_step_trains_the_largest_the_smallest_and_two_random_members_at_one_size() -> None:
    """The sandwich rule; the same number draws the same members, another one others."""
    sizes = [{"img_width": width} for width in (64, 96, 128)]
    pool = [{**MIDDLE, "channels": channels} for channels in (8, 16, 24)]

    def draw(step: int) -> list[Architecture]:
        return sandwich(step, extremes=[LARGEST, SMALLEST], pool=pool, sizes=sizes, seed=3)

    drawn = [draw(step) for step in range(30)]
    assert all(len({one["img_width"] for one in members}) == 1 for members in drawn)
    assert {members[0]["img_width"] for members in drawn} == {64, 96, 128}
    for members in drawn:
        width = {"img_width": members[0]["img_width"]}
        assert members[:2] == [{**LARGEST, **width}, {**SMALLEST, **width}]
        assert all(member["kernel_size"] == 3 for member in members[2:])
    assert {member["channels"] for members in drawn for member in members[2:]} == {8, 16, 24}
    assert drawn == [draw(step) for step in range(30)]


def test_before_training_a_member_computes_what_the_transferred_network_computes() -> None:
    """Without its backbone, on the backbone's outputs, with gradients."""
    members, network = _members(), _build(MIDDLE)
    _seed().transfer_weights(network, transfer_same)
    member, images = members[MIDDLE], torch.rand(2, 3, 64, 64)
    members.train_mode(member)
    assert members.backbone is not None
    targets = torch.tensor([[0, 0, 0.5, 0.5, 0.4, 0.6, 0]])
    loss = member.loss(members.shared.tensors, members.backbone(images), targets)
    network.train().get_submodule("backbone").eval()
    torch.testing.assert_close(loss, network.loss(images, targets))  # type: ignore[operator]  # a Network
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    assert any(value.grad is not None for value in members.shared.tensors.values())


def test_members_of_several_input_sizes_are_one_network() -> None:
    """The input's size changes no layer of this space."""
    members = _members()
    assert members[MIDDLE] is members[{**MIDDLE, "img_width": 128}]
    assert members[MIDDLE] is not members[SMALLEST]


def test_training_changes_the_shared_tensors_and_repeats_to_the_bit() -> None:
    """Also tensors that no seed has; the frozen backbone is none of them."""
    first, again = (_train(_members()) for _ in range(2))
    assert not any(name.startswith("backbone.") for name in first)
    assert {"head.4.weight", "head.0.weight (8, 12, 1, 1)", "head.0.weight (16, 12, 3, 3)"} <= first.keys()
    assert first.keys() == again.keys()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    untrained = _seed().state
    assert not torch.equal(first["head.4.weight"], untrained["head.4.weight"])


def test_an_interrupted_training_continues_to_the_same_bits(tmp_path: Path) -> None:
    """From its checkpoint, which holds steps, values, averages and moments."""
    whole, checkpoint = _train(_members()), tmp_path / "checkpoint.pth"

    def interrupt(number: int, _metrics: object) -> None:
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(_members(), checkpoint=checkpoint, on_epoch=interrupt)
    epochs: list[int] = []
    resumed = _train(_members(), checkpoint=checkpoint, on_epoch=lambda number, _: epochs.append(number))
    assert epochs == [2]
    assert resumed.keys() == whole.keys()
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())


def test_a_damaged_checkpoint_is_reported_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The training starts again."""
    checkpoint = tmp_path / "checkpoint.pth"
    checkpoint.write_bytes(b"no checkpoint")
    found = _train(_members(), checkpoint=checkpoint)
    assert "checkpoint.pth can't be used" in caplog.text
    assert all(torch.equal(value, found[name]) for name, value in _train(_members()).items())


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    """The sentence names the step and a remedy."""
    members = _members()
    with torch.no_grad():
        members.shared.tensors["head.4.weight"].fill_(torch.nan)
    with pytest.raises(ConfigError, match=r"The supernet's loss became nan in step 0: give another recipe"):
        _train(members)


def test_statistics_are_those_of_the_member() -> None:
    """BatchNorm's mean and variance are taken on the member's own inputs, whatever others have left."""
    members, name = _members(), "head.1.running_mean"
    batches, member, shared = _batches(members), members[MIDDLE], members.shared.tensors
    first = with_statistics(member, shared, batches).get_buffer(name).clone()
    member.network.get_buffer(name).fill_(99)
    assert torch.equal(with_statistics(member, shared, batches).get_buffer(name), first)
    assert not torch.equal(first, torch.zeros_like(first))
    found = evaluate_member(member, shared, batches, meter=DETECTION.meter())
    assert found.keys() == {"map", "map_50"}
    assert found == evaluate_member(member, shared, batches, meter=DETECTION.meter())


@pytest.mark.parametrize(("freeze", "trained"), [("none", True), ("stem", True), ("backbone", False)])
def test_without_a_shared_backbone_members_take_images(freeze: Freeze, trained: bool) -> None:
    """Each pass over the training images is augmented anew, and what is frozen is not trained."""
    members = _members(freeze=freeze, shares_backbone=False)
    batches = _batches(members)
    first, later = batches.trained(0), batches.trained(2)
    assert isinstance(first.given, Tensor)
    assert isinstance(later.given, Tensor)
    assert not torch.equal(first.given, later.given)
    again = batches.trained(0).given
    assert isinstance(again, Tensor)
    assert torch.equal(first.given, again)
    names = members.shared.tensors
    assert ("backbone.stage2.0.weight" in names) == trained
    assert ("backbone.conv1.0.weight" in names) == (freeze == "none")
    member = members[MIDDLE]
    assert members.train_mode(member).get_submodule("backbone.conv1").training == (freeze == "none")
    assert torch.isfinite(member.loss(names, first.features, first.targets))

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mlflow_nas.errors import ConfigError, MachineError
from mlflow_nas.space import (
    FastestDet,
    SeedWeights,
    build_detector,
    fastestdet_head,
    load_backbone_weights,
    load_seed_weights,
    save_weights,
    state_digest,
)

WEIGHTS = Path(__file__).parents[3] / "shared" / "weights"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="../shared/weights is not on this machine")
BASELINE = fastestdet_head().baseline
IMAGES = torch.rand(2, 3, 96, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("width", [220, 224, 236, 252, 288, 320])
def test_every_width_of_the_space_works(width: int) -> None:
    """Also where ceil(W/16) is odd, at which the published code fails."""
    network = build_detector({**BASELINE, "channels": 24, "groups": 8}, num_classes=1).eval()
    with torch.inference_mode():
        output = network(torch.rand(1, 3, width, width))
    cells = -(-width // 16)
    assert output.shape == (1, 5, cells, cells)


def test_one_class_has_no_class_branch_and_several_have_probabilities() -> None:
    """With one class the softmax would be the constant 1 and get no gradient."""
    assert build_detector(BASELINE, num_classes=1).head.classes is None
    network = build_detector(BASELINE, num_classes=3).eval()
    with torch.inference_mode():
        output = network(torch.rand(2, 3, 64, 64))
    assert output.shape == (2, 8, 4, 4)
    torch.testing.assert_close(output[:, 5:].sum(dim=1), torch.ones(2, 4, 4))


def test_the_same_seed_draws_the_same_weights() -> None:
    """A trial can be repeated."""
    first, second = (build_detector(BASELINE, num_classes=1, seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@needs_weights
def test_the_published_detector_loads_without_a_missing_key() -> None:
    """80 classes: every tensor of the network comes from the file."""
    seed = load_seed_weights(WEIGHTS / "fastestdet_coco.pth")
    network = build_detector(BASELINE, num_classes=80, weights=seed)
    assert network.state_dict().keys() == seed.state.keys()
    assert all(torch.equal(value, seed.state[name]) for name, value in network.state_dict().items())


@needs_weights
def test_the_published_detector_keeps_all_classes_of_which_some_are_given() -> None:
    """Probabilities are those among all 80, in the order asked for; what is another object stays one."""
    seed = load_seed_weights(WEIGHTS / "fastestdet_coco.pth")
    wanted = seed.for_classes(("dog", "person"))
    assert (wanted.num_classes, wanted.class_indexes[:3]) == (80, (16, 0, 1))
    whole = build_detector(BASELINE, num_classes=80, weights=seed).eval()
    two = build_detector(BASELINE, num_classes=2, weights=wanted).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        every, given = whole(images), two(images)
        torch.testing.assert_close(given, every[:, [*range(5), 5 + 16, 5 + 0]])
        torch.testing.assert_close(two.raw(images)[2][:, :2], whole.raw(images)[2][:, [16, 0]])
    save = two.state_dict()
    assert all(torch.equal(value, seed.state[name]) for name, value in save.items()), "as it was published"


@needs_weights
def test_for_one_class_the_class_branch_is_left_out() -> None:
    """Its softmax is the constant 1; other names than COCO's change nothing."""
    seed = load_seed_weights(WEIGHTS / "fastestdet_coco.pth")
    person = seed.for_classes(("person",))
    assert build_detector(BASELINE, num_classes=1, weights=person).raw(torch.rand(1, 3, 64, 64))[2] is None
    assert seed.for_classes(("person", "unicorn")) is seed


@needs_weights
@pytest.mark.parametrize(("kernel", "groups", "channels"), [(3, 1, 96), (5, 8, 96), (3, 4, 48), (5, 2, 24)])
def test_a_candidate_gets_slices_of_the_seed(kernel: int, groups: int, channels: int) -> None:
    """Kernels keep their centre, groups their diagonal blocks, channels the largest scales."""
    seed = load_seed_weights(WEIGHTS / "fastestdet_coco.pth")
    architecture = {"kernel_size": kernel, "groups": groups, "channels": channels, "img_width": 256}
    state = build_detector(architecture, num_classes=1, weights=seed).state_dict()
    scales = seed.state["neck.reduce.1.weight"].abs() + seed.state["neck.fuse.1.weight"].abs()
    chosen = scales.argsort(descending=True, stable=True)[:channels].sort().values
    margin = (5 - kernel) // 2
    centre = seed.state["neck.chains.0.0.weight"][chosen][..., margin : 5 - margin, margin : 5 - margin]
    torch.testing.assert_close(state["neck.chains.0.0.weight"], centre)
    dense = seed.state["neck.reduce.0.weight"][chosen]
    block = state["neck.reduce.0.weight"][-channels // groups :]
    torch.testing.assert_close(block, dense[-channels // groups :, -336 // groups :])


def _leave_alive(norm: nn.BatchNorm2d, alive: Tensor) -> None:
    """Draw its scales, of either sign, and shifts; 0 where `alive` is. The next batch sets its statistics."""
    sign = torch.rand(norm.num_features).sub(0.3).sign()
    norm.weight.copy_(alive * sign * torch.rand(norm.num_features).add(0.5))
    norm.bias.copy_(alive * torch.rand(norm.num_features))
    norm.momentum = 1.0


def _clear_beside_blocks(layer: nn.Module, rows: Tensor, columns: Tensor, groups: int) -> None:
    """Set to 0 what lies beside the diagonal blocks of those rows and columns of a dense 1x1 convolution."""
    of_row, of_column = (torch.arange(len(part)) * groups // len(part) for part in (rows, columns))
    in_block = of_row[:, None] == of_column
    layer.get_parameter("weight")[rows[:, None], columns] *= in_block[..., None, None]


def _seed_with_nothing_to_lose(kernel: int, groups: int, channels: int) -> FastestDet:
    """A baseline that computes with what is transferred to a candidate: all else is 0, or multiplied by 0."""
    network = build_detector(BASELINE, num_classes=3, seed=1)
    neck, head = (torch.randperm(96)[:channels].sort().values for _ in range(2))
    for part, channel in ((network.neck, neck), (network.head, head)):
        alive = torch.zeros(96).index_fill(0, channel, 1)
        for layer in part.modules():
            if isinstance(layer, nn.BatchNorm2d):
                _leave_alive(layer, alive if layer.num_features == 96 else torch.ones(layer.num_features))
            elif isinstance(layer, nn.Conv2d) and kernel == 3 < layer.kernel_size[0]:
                layer.weight.copy_(nn.functional.pad(layer.weight[..., 1:4, 1:4], (1, 1, 1, 1)))
    _clear_beside_blocks(network.get_submodule("neck.reduce.0"), neck, torch.arange(336), groups)
    chains = torch.cat([neck, neck + 96, neck + 192])
    _clear_beside_blocks(network.get_submodule("neck.fuse.0"), neck, chains, groups)
    _clear_beside_blocks(network.get_submodule("head.stem.0"), head, neck, groups)
    network(IMAGES)
    return network.eval()


@pytest.mark.parametrize(("kernel", "groups", "channels"), [(3, 1, 96), (5, 8, 96), (5, 1, 40), (3, 4, 48)])
def test_a_candidate_computes_what_a_seed_does_that_has_nothing_to_lose(
    kernel: int, groups: int, channels: int
) -> None:
    """Every layer of neck and head takes the same channels as its neighbours, its blocks and its centre."""
    with torch.no_grad():
        seed = _seed_with_nothing_to_lose(kernel, groups, channels)
    architecture = {"kernel_size": kernel, "groups": groups, "channels": channels, "img_width": 256}
    weights = SeedWeights(state=seed.state_dict(), source="seed.pth")
    candidate = build_detector(architecture, num_classes=3, weights=weights).eval()
    with torch.inference_mode():
        torch.testing.assert_close(candidate.raw(IMAGES), seed.raw(IMAGES), atol=1e-4, rtol=1e-4)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """The sentence names the file and what is wanted."""
    smaller = build_detector({**BASELINE, "channels": 24}, num_classes=1)
    seed = load_seed_weights(save_weights(smaller, tmp_path / "small.pth"))
    with pytest.raises(ConfigError, match=r"small\.pth are not those of the baseline network"):
        build_detector(BASELINE, num_classes=1, weights=seed)


def test_weights_on_a_full_disk_are_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the file and the remedy; nothing half written stays."""

    def fill(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device", len(content))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(MachineError, match=r"w\.pth can't be written: No space left.*Free some space"):
        save_weights(nn.Linear(1, 1), tmp_path / "w.pth")
    assert list(tmp_path.iterdir()) == []


def test_the_digest_of_a_state_covers_names_shapes_types_and_numbers() -> None:
    """And nothing else: a copy has the same one."""
    state = {"a": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}
    same = {name: value.clone() for name, value in state.items()}
    assert state_digest(state) == state_digest(same)
    others = [
        {"b": state["a"], "n": state["n"]},
        {**state, "a": state["a"].view(3, 2)},
        {**state, "a": state["a"].int()},
        {**state, "n": torch.tensor(4)},
        {"a": state["a"]},
        {"half": torch.zeros(2, dtype=torch.bfloat16)},
    ]
    assert len({state_digest(other) for other in (state, *others)}) == 7


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"hello", b"\x80\x02}q\x00.", b"PK\x03\x04"])
def test_a_file_that_is_no_state_dict_is_refused(content: bytes, tmp_path: Path) -> None:
    """One sentence, whatever torch and pickle raise; a missing file has another."""
    (tmp_path / "bad.pth").write_bytes(content)
    for load in (load_seed_weights, load_backbone_weights):
        with pytest.raises(
            ConfigError, match=r"bad\.pth (can't be read as a|holds no) state dict|bad\.pth h"
        ) as at:
            load(tmp_path / "bad.pth")
        assert "\n" not in str(at.value)
    with pytest.raises(ConfigError, match=r"absent\.pth does not exist"):
        load_backbone_weights(tmp_path / "absent.pth")


def test_a_state_dict_whose_keys_are_no_text_is_refused(tmp_path: Path) -> None:
    """A mapping of numbers to tensors is no state dict."""
    torch.save({0: torch.zeros(1)}, tmp_path / "bad.pth")
    with pytest.raises(ConfigError, match="holds no state dict"):
        load_seed_weights(tmp_path / "bad.pth")


@needs_weights
def test_a_backbone_file_is_no_detector_and_serves_as_backbone() -> None:
    """The error of --weights names training.backbone_weights."""
    path = WEIGHTS / "shufflenet_v2_x0_5_imagenet_backbone.pth"
    with pytest.raises(ConfigError, match=r"give it as training\.backbone_weights"):
        load_seed_weights(path)
    loaded = load_backbone_weights(path)
    network = build_detector(BASELINE, num_classes=1, backbone_weights=loaded)
    assert loaded is not None
    assert torch.equal(network.backbone.conv1[0].weight, loaded["conv1.0.weight"])


def test_without_a_network_the_download_falls_back_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Training from random weights is possible, with a warning."""
    assert load_backbone_weights(None) is None
    assert "training.backbone_weights" in caplog.text


@needs_weights
def test_unchanged_parameters_are_told_from_sliced_ones() -> None:
    """All of the baseline is unchanged; a smaller kernel slices the convolution, not its BatchNorm."""
    seed = load_seed_weights(WEIGHTS / "fastestdet_coco.pth").for_classes(("person",))
    whole = build_detector(BASELINE, num_classes=1, weights=seed)
    assert seed.unchanged_in(whole) == {name for name, _ in whole.named_parameters()}
    sliced = build_detector({**BASELINE, "kernel_size": 3}, num_classes=1, weights=seed)
    depthwise = {
        name
        for name, value in sliced.named_parameters()
        if value.shape[1:] == (1, 3, 3) and not name.startswith("backbone.")
    }
    assert seed.unchanged_in(whole) - seed.unchanged_in(sliced) == depthwise

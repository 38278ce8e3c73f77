import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mlflow_nas.data import Augmentation, DetectionDataModule, load_dataset, with_views
from mlflow_nas.errors import CandidateError, ConfigError
from mlflow_nas.space import FastestDet, build_detector
from mlflow_nas.train import Fitted, Freeze, Recipe, evaluate_network, fine_tuning, fit, published
from mlflow_nas.train import resume as resume_module
from mlflow_nas.train.features import cached_features, fit_in_memory
from mlflow_nas.train.optimizer import make_optimizer, make_schedule

SMALL = {"kernel_size": 3, "groups": 1, "channels": 24, "img_width": 220}
EPOCHS = 3


def _data(
    augmentation: Augmentation = "flip-zoom",
    train: int = 16,
    *,
    memory_limit_bytes: int = 2**30,
    views: int = 1,
) -> DetectionDataModule:
    uri = f"synthetic:train={train},val=4,size=160"
    train_set, val_set = (load_dataset(uri, split, ("person",)) for split in ("train", "val"))
    return DetectionDataModule(
        train_set,
        with_views(val_set, views),
        img_size=(96, 96),
        batch_size=8,
        seed=0,
        augmentation=augmentation,
        memory_limit_bytes=memory_limit_bytes,
    )


def _network() -> FastestDet:
    return build_detector(SMALL, num_classes=1, seed=0)


def _with_dropout() -> FastestDet:
    """A network that draws from the global random state in every step."""
    network = _network()
    network.head.stem.append(nn.Dropout(0.2))
    return network


def _fit(network: nn.Module, data: DetectionDataModule | None = None, **options: object) -> Fitted:
    wanted = {"epochs": EPOCHS, "seed": 1, "accelerator": "cpu", **options}
    return fit(network, data or _data(), **wanted)  # type: ignore[arg-type]  # options of a test


def _equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(one[0] == other[0] and torch.equal(one[1], other[1]) for one, other in pairs)


def test_a_training_repeats() -> None:
    """The same seed gives the same weights; the weights move; the network ends in eval mode on the CPU."""
    first, second = _network(), _network()
    epochs: list[int] = []
    fitted = _fit(first, on_epoch=lambda number, _: epochs.append(number))
    _fit(second)
    assert epochs == [1, 2, 3]
    assert not first.training
    assert not torch.equal(first.head.box[3].weight, _network().head.box[3].weight)
    assert fitted.metrics["epochs"] == EPOCHS
    assert {"map_fp32", "map_50_fp32", "train_s"} <= fitted.metrics.keys()
    assert _equal(first, second)


def test_a_loss_that_is_not_finite_is_the_candidates_fault() -> None:
    """The sentence names the learning rate."""
    network = _network()
    with torch.no_grad():
        network.head.box[3].weight.fill_(float("nan"))
    with pytest.raises(CandidateError, match=r"training loss became nan in epoch 0: lower the learning rate"):
        fit(network, _data(), epochs=1, seed=0, recipe=Recipe(learning_rate=1.0), accelerator="cpu")


class _Killed(BaseException):
    """Ends a training from inside, as a signal would."""


def _interrupt(after: int, checkpoint: Path, recipe: Recipe, data: DetectionDataModule | None = None) -> None:
    """Train until the end of an epoch, and no further."""

    def kill(number: int, _metrics: object) -> None:
        if number == after:
            raise _Killed

    with pytest.raises(_Killed):
        _fit(_with_dropout(), data, recipe=recipe, checkpoint=checkpoint, on_epoch=kill)


def test_ctrl_c_ends_a_training_as_it_ends_everything_else() -> None:
    """Lightning would exit the process and ignore the next Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(_number: int, _metrics: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(_network(), on_epoch=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize(
    ("after", "recipe"),
    [
        (1, Recipe()),
        (2, published()),
        (2, Recipe(freeze="backbone")),  # in an epoch that computes the features of a view of its own
        (1, Recipe(freeze="backbone", views=1)),  # before the last such epoch
        (2, Recipe(freeze="backbone", views=1)),  # in one that mixes the views of those before
        (EPOCHS, Recipe()),
    ],
    ids=["averaged", "published", "frozen", "last view", "mixed views", "finished"],
)
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path: Path, after: int, recipe: Recipe) -> None:
    """Weights, BatchNorm statistics and every epoch's metrics equal those of a training never interrupted."""
    checkpoint = tmp_path / "training.ckpt"
    whole = _with_dropout()
    fitted = _fit(whole, recipe=recipe)
    _interrupt(after, checkpoint, recipe)
    resumed, told = _with_dropout(), list[int]()
    again = _fit(
        resumed, recipe=recipe, checkpoint=checkpoint, on_epoch=lambda number, _: told.append(number)
    )
    assert told == [1, 2, 3]
    assert _equal(whole, resumed)
    assert again.history == fitted.history


def test_a_training_whose_images_workers_decode_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Workers read ahead: the first batches of a resumed training are those of its epoch all the same."""
    checkpoint = tmp_path / "training.ckpt"
    whole, resumed = _with_dropout(), _with_dropout()
    fitted = _fit(whole)
    _interrupt(1, checkpoint, Recipe(), _data(memory_limit_bytes=0))
    again = _fit(resumed, _data(memory_limit_bytes=0), checkpoint=checkpoint)
    assert _equal(whole, resumed)
    assert again.history == fitted.history


def test_the_last_epochs_alone_are_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed training takes only the steps that are left."""
    checkpoint = tmp_path / "training.ckpt"
    _interrupt(2, checkpoint, Recipe())
    saved: list[Path] = []
    monkeypatch.setattr(resume_module, "_save", lambda _trainer, path: saved.append(path))
    _fit(_with_dropout(), checkpoint=checkpoint)
    assert len(saved) == EPOCHS - 2


@pytest.mark.parametrize("other", [{"seed": 2}, {"epochs": 2}, {"recipe": Recipe(learning_rate=1e-3)}])
def test_the_state_of_another_training_is_passed_over(tmp_path: Path, other: dict[str, object]) -> None:
    """Another seed, budget or recipe begins anew, as if there were no file."""
    checkpoint = tmp_path / "training.ckpt"
    _interrupt(1, checkpoint, Recipe())
    alone, beside = _with_dropout(), _with_dropout()
    _fit(alone, **other)
    _fit(beside, checkpoint=checkpoint, **other)
    assert _equal(alone, beside)


def test_a_checkpoint_that_cannot_be_read_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says so, and the training begins anew."""
    checkpoint = tmp_path / "training.ckpt"
    checkpoint.write_bytes(b"half a file")
    fitted = _fit(_network(), checkpoint=checkpoint, epochs=1)
    assert len(fitted.history) == 1
    assert "can't be read" in caplog.text
    assert "the training begins anew" in caplog.text


def test_a_checkpoint_that_cannot_be_written_is_the_users_error(tmp_path: Path) -> None:
    """The sentence names the file and the remedy."""
    (tmp_path / "file").write_text("in the way of a folder", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"state can't be kept in .*training.ckpt: .*MLFLOW_NAS_WORK"):
        _fit(_network(), checkpoint=tmp_path / "file/training.ckpt", epochs=1)


def test_a_frozen_stem_stays_as_it_was() -> None:
    """Its weights and BatchNorm statistics are the first ones; the rest of the backbone moves."""
    network = _network()
    _fit(network, recipe=Recipe(freeze="stem"), epochs=1)
    assert _equal(network.backbone.conv1, _network().backbone.conv1)
    assert not _equal(network.backbone.stage2, _network().backbone.stage2)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("limit_bytes", [2**30, 0])
def test_a_frozen_backbone_stays_as_it_was(limit_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neck and head move, with features in memory and without; the network has its backbone again."""
    caches: list[bool] = []

    def fits(*given: Any, **options: Any) -> bool:
        caches.append(fit_in_memory(*given, **options, limit_bytes=limit_bytes))
        return caches[-1]

    monkeypatch.setattr(sys.modules["mlflow_nas.train.fit"], "fit_in_memory", fits)
    network = _network()
    fitted = _fit(network, recipe=Recipe(freeze="backbone"), epochs=2)
    assert _equal(network.backbone, _network().backbone)
    assert not _equal(network.head, _network().head)
    assert len(fitted.history) == 2
    assert caches == [limit_bytes > 0]
    assert fitted.trained_params == sum(
        part.numel() for module in (network.neck, network.head) for part in module.parameters()
    )
    assert network(torch.zeros(1, 3, 96, 96)).shape == (1, 5, 6, 6)


def test_cached_features_are_those_of_the_images() -> None:
    """Neck and head give on cached features what the whole network gives on images, to half precision."""
    network, data = _network().eval(), _data()
    images = next(data.batches("val")).images
    with torch.inference_mode():
        expected = network(images)
    with cached_features(network, data, views=1, seed=0) as features, torch.inference_mode():
        batch = features.on_after_batch_transfer(next(iter(features.val_dataloader())), 0)
        assert torch.allclose(network(batch.images), expected, atol=1e-2)


def test_an_epoch_is_measured_on_the_photographs_alone() -> None:
    """From images and from cached features; the trained network on all their views."""
    data = _data(views=3)
    assert data.counts == (16, 4)
    with cached_features(_network(), data, views=1, seed=0) as features:
        for loader in (data.val_dataloader(), features.val_dataloader()):
            assert sum(len(batch.images) for batch in loader) == 4
    network = _Blind()
    assert evaluate_network(network, data) == {"map_fp32": 0.0, "map_50_fp32": 0.0}
    assert network.seen == 12


class _Blind(nn.Module):
    """Finds nothing in the images that it counts."""

    seen = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, 3, H, W] -> zeros [b, 5, 6, 6]."""
        self.seen += len(images)
        return torch.zeros(len(images), 5, 6, 6)


def test_the_first_batch_waits_for_its_own_features_only() -> None:
    """Each image of each view goes through the backbone once, when its batch comes."""
    network, data = _network(), _data()
    seen: list[int] = []
    network.backbone.register_forward_hook(lambda _module, given, _made: seen.append(len(given[0])))
    with cached_features(network, data, views=1, seed=0) as features:
        loader = features.train_dataloader()
        seen.clear()  # one image said which shapes there are
        batches = iter(loader)
        next(batches)
        assert seen == [8]
        for epoch in range(4):
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the shuffled one
            assert sum(len(batch.images) for batch in loader) == 16
        assert sum(seen) == 8 + 2 * 16


def test_a_training_computes_each_view_once() -> None:
    """Lightning never asks a loader for what comes after its last batch: the view is kept by then."""
    network = _network()
    seen: list[int] = []
    network.backbone.register_forward_hook(lambda _module, given, _made: seen.append(len(given[0])))
    _fit(network, epochs=4, recipe=Recipe(freeze="backbone", views=1))
    assert sum(count for count in seen if count > 1) == 2 * 16 + 4  # single images say which shapes there are


def test_features_are_kept_up_to_a_limit() -> None:
    """Those of 16 images, twice, and of 4: 48, 96 and 192 channels at 1/8, 1/16 and 1/32 of 96 pixels."""
    needed_bytes = (2 * 16 + 4) * (48 * 12 * 12 + 96 * 6 * 6 + 192 * 3 * 3) * 2
    assert fit_in_memory(_network(), _data(), views=1, limit_bytes=needed_bytes)
    assert not fit_in_memory(_network(), _data(), views=1, limit_bytes=needed_bytes - 1)


def test_an_epoch_on_cached_features_takes_as_many_as_there_are_images() -> None:
    """Over as many epochs as there are views each view is taken once."""
    network, data = _network(), _data()
    with cached_features(network, data, views=1, seed=0) as features:
        loader = features.train_dataloader()
        taken: list[float] = []
        for epoch in range(2):
            loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]  # it is the shuffled one
            images = torch.cat([batch.images for batch in loader])
            assert len(images) == 16
            taken += images.double().sum(dim=(1, 2, 3)).tolist()
        assert len(set(taken)) == 32


@pytest.mark.parametrize(("freeze", "part"), [("stem", "backbone.conv1"), ("backbone", "backbone")])
def test_what_is_not_there_cannot_be_frozen(freeze: Freeze, part: str) -> None:
    """The sentence names the missing part and the remedy."""
    network = nn.Sequential(nn.Conv2d(3, 5, 1))
    with pytest.raises(ConfigError, match=rf"Sequential has no .*{part} to freeze: give --freeze none"):
        _fit(network, recipe=Recipe(freeze=freeze))


def test_the_published_schedule() -> None:
    """A warm-up of 1/60, then a tenth of the rate after 1/3, 2/3 and 5/6 of the steps."""
    optimizer = make_optimizer(_network(), published())
    schedule = make_schedule(optimizer, published(), steps=600)
    rates = []
    for _ in range(600):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(1e-7)
    assert [rates[step] for step in (9, 199, 200, 399, 400, 499, 500, 599)] == pytest.approx(
        [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6]
    )


@pytest.mark.parametrize("steps", range(1, 13))
def test_a_schedule_may_be_as_short_as_it_likes(steps: int) -> None:
    """Also where the rise takes exactly one step."""
    optimizer = make_optimizer(_network(), Recipe())
    schedule = make_schedule(optimizer, Recipe(), steps=steps)
    for _ in range(steps - 1):
        optimizer.step()
        schedule.step()
    assert 0 < optimizer.param_groups[0]["lr"] <= Recipe().learning_rate


def test_what_was_inherited_as_it_was_has_a_rate_of_its_own() -> None:
    """Over the whole course, and the published recipe knows one rate only."""
    network, recipe = _network(), fine_tuning()
    kept = [name for name, _ in network.named_parameters() if name.startswith("backbone.")]
    optimizer = make_optimizer(network, recipe, kept=kept)
    schedule = make_schedule(optimizer, recipe, steps=40)
    peaks: dict[str, float] = dict.fromkeys(dict(network.named_parameters()), 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    for _ in range(40):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                peaks[names[id(parameter)]] = max(peaks[names[id(parameter)]], group["lr"])
        optimizer.step()
        schedule.step()
    expected = {name: recipe.kept_rate if name in kept else recipe.learning_rate for name in peaks}
    assert peaks == pytest.approx(expected, rel=0.05)
    one_rate = make_optimizer(network, fine_tuning(published()), kept=kept)
    assert {group["lr"] for group in one_rate.param_groups} == {1e-3}

"""The seed network as a teacher."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from common import make_parser, open_bench
from torch import Tensor, nn

from mlflow_nas.data import DetectionDataModule, load_dataset
from mlflow_nas.search import Workbench
from mlflow_nas.space import FastestDet, SeedWeights, build_detector, fastestdet_head
from mlflow_nas.train import DetectorModule, Freeze, Recipe, Teacher, decode, detection_loss, fit
from mlflow_nas.train.decode import boxes_of_cells
from mlflow_nas.train.distillation import Lesson, distillation_loss
from mlflow_nas.train.features import cached_features, fit_in_memory

BASELINE = dict(fastestdet_head().baseline)
SMALL = {"kernel_size": 3, "groups": 2, "channels": 24, "img_width": 220}
CLASSES = 4
SIZE = 96


def _seed(num_classes: int = CLASSES) -> FastestDet:
    """A network whose statistics and outputs differ from place to place."""
    network = build_detector(BASELINE, num_classes=num_classes, seed=3)
    torch.manual_seed(5)
    batch = torch.rand(4, 3, SIZE, SIZE)
    with torch.no_grad():
        network.head.objectness[-1].bias.fill_(1.0)
        for _ in range(40):
            network(batch)
    return network.eval()


def _images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def _raw(network: FastestDet, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    with torch.inference_mode():
        return network.raw(images)


def _lesson(objectness: Tensor) -> Lesson:
    boxes = torch.full((len(objectness), 4, *objectness.shape[1:]), 0.5)
    return Lesson(objectness, boxes, None)


@pytest.mark.parametrize("classes", [(2,), (3, 0)])
def test_scores_stay_what_they_were_when_classes_are_left_out(classes: tuple[int, ...]) -> None:
    """Decoding what is taught gives the seed network's own detections of these classes."""
    network, images = _seed(), _images()
    lesson = Teacher(network, classes=classes)(images)
    with torch.inference_mode():
        output = network(images)
    parts = [lesson.objectness[:, None], output[:, 1:5]]
    if lesson.classes is not None:
        parts.append(lesson.classes)
        assert torch.allclose(lesson.classes.sum(dim=1), torch.ones_like(lesson.objectness))
    taught, own = decode(torch.cat(parts, dim=1)), decode(output, classes=classes)
    for one, other in zip(taught, own, strict=True):
        assert len(one.scores) == len(other.scores) > 0
        assert torch.allclose(one.scores, other.scores, atol=1e-5)
        assert torch.equal(one.labels, other.labels)


def test_all_classes_are_taught_as_they_are() -> None:
    """Without a choice of classes objectness and probabilities are the network's own."""
    network, images = _seed(), _images()
    lesson, output = Teacher(network)(images), network(images)
    assert torch.equal(lesson.objectness, output[:, 0])
    assert lesson.classes is not None
    assert torch.equal(lesson.classes, output[:, 5:])
    assert Teacher(_seed(1))(images).classes is None


def test_who_says_the_same_has_nothing_to_learn() -> None:
    """At the seed network's own outputs no gradient is left but of the boxes' SIoU, and any change costs."""
    network, images = _seed(), _images()
    lesson = Teacher(network)(images)
    objectness, box, classes = (
        part.clone().requires_grad_() for part in _raw(network, images) if part is not None
    )
    loss = distillation_loss((objectness, box, classes), lesson)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    assert objectness.grad is not None
    assert classes.grad is not None
    assert objectness.grad.abs().max() < 1e-6
    assert classes.grad.abs().max() < 1e-6
    for changed in (
        (objectness + 0.3, box, classes),
        (objectness, box + 0.3, classes),
        (objectness, box, -classes),
    ):
        assert distillation_loss(changed, lesson) > loss + 1e-3


def test_an_empty_scene_teaches_that_nothing_is_there() -> None:
    """The loss is the objectness alone, finite, and the boxes get no gradient."""
    logits, terms = torch.zeros(1, 1, 6, 6, requires_grad=True), torch.zeros(1, 4, 6, 6, requires_grad=True)
    loss = distillation_loss((logits, terms, None), _lesson(torch.zeros(1, 6, 6)))
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    assert loss.item() == pytest.approx(36 * torch.log(torch.tensor(2.0)).item())
    assert terms.grad is None or terms.grad.abs().max() == 0


def test_a_map_of_another_size_is_taught_by_the_nearest_cells() -> None:
    """Half as many cells: every second one's lesson; boxes are relative to the image and stay."""
    objectness = torch.arange(16.0).view(1, 4, 4) / 16
    resized = _lesson(objectness).resized((2, 2))
    assert torch.equal(resized.objectness, objectness[:, ::2, ::2])
    assert resized.boxes.shape == (1, 4, 2, 2)
    raw = (torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2), None)
    assert torch.isfinite(distillation_loss(raw, _lesson(objectness)))


def _data(train: int = 8) -> DetectionDataModule:
    uri = f"synthetic:train={train},val=4,size=160"
    train_set, val_set = (load_dataset(uri, split, ("person",)) for split in ("train", "val"))
    return DetectionDataModule(train_set, val_set, img_size=(SIZE, SIZE), batch_size=4, seed=0)


def _candidate(seed: FastestDet) -> FastestDet:
    weights = SeedWeights(state=seed.state_dict(), source="test")
    return build_detector(SMALL, num_classes=1, weights=weights)


def _trained(recipe: Recipe, teacher: Teacher | None, **options: object) -> FastestDet:
    network = _candidate(_seed(1))
    wanted = {"epochs": 4, "seed": 0, "recipe": recipe, "accelerator": "cpu", **options}
    fit(network, _data(), teacher=teacher, **wanted)  # type: ignore[arg-type]  # options of a test
    return network


def test_the_lesson_is_what_is_learnt() -> None:
    """Outputs that follow the loss downwards end at the seed network's objectness, boxes and classes."""
    network, images = _seed(), _images()
    lesson = Teacher(network)(images)
    raw = [torch.zeros_like(part, requires_grad=True) for part in _raw(network, images) if part is not None]
    optimizer = torch.optim.Adam(raw, lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        distillation_loss((raw[0], raw[1], raw[2]), lesson).backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
    assert lesson.classes is not None
    assert (raw[0][:, 0].sigmoid() - lesson.objectness).abs().mean() < 0.02
    assert (raw[2].softmax(dim=1) - lesson.classes).abs().mean() < 0.02
    assert (boxes_of_cells(raw[1]) - lesson.boxes).abs().mean() < 0.02


def test_a_step_minimises_both_losses() -> None:
    """That of the boxes, and by the recipe's weight that of the lesson."""
    seed, data = _seed(1), _data()
    batch = next(data.batches("val"))
    network = _candidate(seed).eval()
    teacher, recipe = Teacher(seed), Recipe(distillation=0.5)
    raw = network.raw(batch.images)
    expected = detection_loss(raw, batch.targets).total + 0.5 * distillation_loss(raw, teacher(batch.images))
    module = DetectorModule(network, recipe=recipe, teacher=teacher)
    assert torch.allclose(module.training_step(batch, 0), expected, rtol=1e-4)


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_a_teacher_stays_what_it_was(freeze: Freeze) -> None:
    """It takes images again after a training, says the same, and made a difference."""
    seed, images = _seed(1), _images()
    teacher = Teacher(seed)
    first = _raw(seed, images)
    taught, alone = (_trained(Recipe(freeze=freeze), one) for one in (teacher, None))
    assert all(torch.equal(one, other) for one, other in zip(first[:2], _raw(seed, images)[:2], strict=True))
    assert not any(parameter.requires_grad for parameter in seed.parameters())
    assert not torch.equal(taught.head.box[3].weight, alone.head.box[3].weight)


def test_a_shared_backbone_is_run_once() -> None:
    """On cached features the seed network says what it says of the images, to half precision."""
    seed, data = _seed(1), _data()
    network, teacher = _candidate(seed), Teacher(seed)
    assert fit_in_memory(network, data, views=1, teacher=teacher)
    images = next(data.batches("val")).images
    expected = teacher(images).objectness
    with cached_features(network, data, views=1, seed=0, teacher=teacher) as features:
        batch = features.on_after_batch_transfer(next(iter(features.val_dataloader())), 0)
        assert torch.allclose(teacher(batch.images).objectness, expected, atol=1e-2)
    assert torch.equal(teacher(images).objectness, expected)


def test_another_backbone_needs_the_images() -> None:
    """Features that the seed network can't take are not cached; the training is the same otherwise."""
    seed = _seed(1)
    network = _candidate(seed)
    with torch.no_grad():
        network.backbone.conv1[0].weight.add_(0.1)
    assert not fit_in_memory(network, _data(), views=1, teacher=Teacher(seed))
    assert not Teacher(seed).shares(nn.Conv2d(3, 3, 1))
    fitted = fit(
        network,
        _data(),
        epochs=1,
        seed=0,
        recipe=Recipe(freeze="backbone"),
        teacher=Teacher(seed),
        accelerator="cpu",
    )
    assert fitted.trained_params == sum(
        part.numel() for part in (*network.neck.parameters(), *network.head.parameters())
    )


class _Killed(BaseException):
    """Ends a training from inside, as a signal would."""


def _kill(number: int, _metrics: object) -> None:
    if number == 2:
        raise _Killed


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_an_interrupted_training_is_taught_on_to_the_same_bits(tmp_path: Path, freeze: Freeze) -> None:
    """By the same seed network; by another one it begins anew."""
    recipe, checkpoint = Recipe(freeze=freeze), tmp_path / "training.ckpt"
    whole = _trained(recipe, Teacher(_seed(1)))
    with pytest.raises(_Killed):
        _trained(recipe, Teacher(_seed(1)), checkpoint=checkpoint, on_epoch=_kill)
    kept, told = checkpoint.read_bytes(), list[int]()
    resumed = _trained(recipe, Teacher(_seed(1)), checkpoint=checkpoint)
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    checkpoint.write_bytes(kept)
    changed = _seed(1)
    with torch.no_grad():
        changed.head.box[3].weight.add_(0.1)
    other = _trained(
        recipe, Teacher(changed), checkpoint=checkpoint, on_epoch=lambda number, _: told.append(number)
    )
    assert told == [1, 2, 3, 4]
    assert not torch.equal(other.head.box[3].weight, whole.head.box[3].weight)


@pytest.fixture
def bench(fastestdet_weights: Path) -> Workbench:
    """That of a search for persons from the published detector."""
    given = ["--data", "synthetic:train=4,val=2,size=160", "--weights", str(fastestdet_weights)]
    return open_bench(make_parser(None).parse_args(given))


def test_the_published_detector_teaches_persons_by_all_of_its_classes(bench: Workbench) -> None:
    """Its objectness is one of 80 classes: what is taught is lower, by what it takes for something else."""
    teacher, images = bench.teacher(), torch.from_numpy(bench.real_images(BASELINE, 2))
    assert teacher is not None
    with torch.inference_mode():
        output = teacher.network(images)
    assert output.shape[1] == 5 + 80
    lesson = teacher(images)
    assert lesson.classes is None
    assert torch.allclose(lesson.objectness, output[:, 0] * output[:, 5] ** (0.4 / 0.6))


def test_there_is_no_teacher_where_there_is_none_to_have(bench: Workbench) -> None:
    """No weights, weights of other classes, a backbone alone, or a recipe without."""
    assert bench.weights is not None
    backbone = {name: value for name, value in bench.weights.state.items() if name.startswith("backbone.")}
    for other in (
        replace(bench, weights=None),
        replace(bench, weights=bench.weights.uncut),
        replace(bench, weights=SeedWeights(state=backbone, source="test")),
        replace(bench, recipe=replace(bench.recipe, distillation=0.0)),
    ):
        assert other.teacher() is None

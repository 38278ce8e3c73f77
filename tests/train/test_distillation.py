"""The seed network as a teacher."""

import copy
import math
from pathlib import Path

import pytest
import torch
from small import EPOCHS, SIZE, Small, equal, make_data, make_network, train
from torch import Tensor, nn

from mlflow_nas.space import (
    FastestDet,
    TeacherTargets,
    boxes_of_cells,
    build_detector,
    detection_loss,
    distillation_loss,
    fastestdet_head,
    load_seed_weights,
)
from mlflow_nas.tasks import decode
from mlflow_nas.train import Freeze, NetworkModule, Recipe, Teacher
from mlflow_nas.train.features import cached_features

BASELINE = dict(fastestdet_head().baseline)
CLASSES = 4


@pytest.fixture(scope="module")
def detector() -> FastestDet:
    """A FastestDet whose statistics and outputs differ from place to place."""
    network = build_detector(BASELINE, num_classes=CLASSES, seed=3)
    torch.manual_seed(5)
    batch = torch.rand(4, 3, SIZE, SIZE)
    with torch.no_grad():
        network.head.objectness[-1].bias.fill_(1.0)
        for _ in range(40):
            network(batch)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Two images of noise."""
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def _small(seed: int = 9) -> Small:
    """A network of one class whose statistics differ from fresh ones."""
    network = make_network(seed=seed)
    with torch.no_grad():
        for _ in range(20):
            network(torch.rand(4, 3, SIZE, SIZE))
    return network.eval()


def _targets(objectness: Tensor) -> TeacherTargets:
    boxes = torch.full((len(objectness), 4, *objectness.shape[1:]), 0.5)
    return TeacherTargets(objectness, boxes, None)


def _trained(recipe: Recipe, teacher: Teacher | None, **options: object) -> Small:
    network = make_network()
    train(network, recipe=recipe, teacher=teacher, **options)
    return network


@pytest.mark.parametrize("classes", [(2,), (3, 0)])
def test_scores_stay_what_they_are_when_classes_are_left_out(
    classes: tuple[int, ...], detector: FastestDet, images: Tensor
) -> None:
    """Decoded soft targets are the seed network's own detections of these classes."""
    soft = Teacher(detector, classes=classes)(images)
    output = detector(images)
    parts = [soft.objectness[:, None], output[:, 1:5]]
    if soft.classes is not None:
        parts.append(soft.classes)
        assert torch.allclose(soft.classes.sum(dim=1), torch.ones_like(soft.objectness))
    wanted, own = decode(torch.cat(parts, dim=1)), decode(output, classes=classes)
    for one, other in zip(wanted, own, strict=True):
        assert len(one.scores) == len(other.scores) > 0
        assert torch.allclose(one.scores, other.scores, atol=1e-4)
        assert torch.equal(one.labels, other.labels)


def test_without_a_choice_of_classes_targets_are_the_networks_output(
    detector: FastestDet, images: Tensor
) -> None:
    """Objectness and probabilities, but for rounding; one class has no probabilities."""
    soft, output = Teacher(detector)(images), detector(images)
    assert torch.allclose(soft.objectness, output[:, 0], atol=1e-4)
    assert soft.classes is not None
    assert torch.allclose(soft.classes, output[:, 5:], atol=1e-4)
    assert Teacher(_small())(images).classes is None


def test_the_published_detector_teaches_persons_by_all_of_its_classes(
    fastestdet_weights: Path, images: Tensor
) -> None:
    """Its objectness is one of 80 classes: the target is lower, by the share of the others."""
    weights = load_seed_weights(fastestdet_weights).for_classes(("person",))
    full = build_detector(BASELINE, num_classes=80, weights=weights.full).eval()
    with torch.inference_mode():
        output = full(images)
    soft = Teacher(full, classes=weights.class_indexes)(images)
    assert soft.classes is None
    assert torch.allclose(soft.objectness, output[:, 0] * output[:, 5] ** (0.4 / 0.6), atol=1e-5)


def test_equal_outputs_have_no_loss(detector: FastestDet, images: Tensor) -> None:
    """At the seed network's own outputs the loss is 0, but for rounding, and any change costs."""
    soft = Teacher(detector)(images)
    objectness, box, classes = (
        part.clone().requires_grad_() for part in detector.raw(images) if part is not None
    )
    loss = distillation_loss((objectness, box, classes), soft)
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    assert abs(loss.item()) < 0.01
    for part in (objectness, classes):
        assert part.grad is not None
        assert part.grad.abs().max() < 1e-6
    for changed in (
        (objectness + 0.3, box, classes),
        (objectness, box + 0.3, classes),
        (objectness, box, -classes),
    ):
        assert distillation_loss(changed, soft) > loss + 1e-3


def test_outputs_that_follow_the_loss_end_at_the_targets(detector: FastestDet, images: Tensor) -> None:
    """Objectness, boxes and classes."""
    soft = Teacher(detector)(images)
    raw = [torch.zeros_like(part, requires_grad=True) for part in detector.raw(images) if part is not None]
    optimizer = torch.optim.Adam(raw, lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        distillation_loss((raw[0], raw[1], raw[2]), soft).backward()  # type: ignore[no-untyped-call]  # torch's
        optimizer.step()
    assert soft.classes is not None
    assert (raw[0][:, 0].sigmoid() - soft.objectness).abs().mean() < 0.02
    assert (raw[2].softmax(dim=1) - soft.classes).abs().mean() < 0.02
    assert (boxes_of_cells(raw[1]) - soft.boxes).abs().mean() < 0.02


def test_a_batch_without_objects_does_not_dominate() -> None:
    """It is divided by a fiftieth of its cells; the boxes get no gradient."""
    logits, terms = torch.full((2, 1, 6, 6), -3.0, requires_grad=True), torch.zeros(2, 4, 6, 6)
    loss = distillation_loss((logits, terms.requires_grad_(), None), _targets(torch.full((2, 6, 6), 0.001)))
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    wanted, own = 0.001, torch.sigmoid(torch.tensor(-3.0)).item()
    divergence = wanted * math.log(wanted / own) + (1 - wanted) * math.log((1 - wanted) / (1 - own))
    assert loss.item() == pytest.approx(divergence / 0.02, rel=1e-3)
    assert terms.grad is None or terms.grad.abs().max() == 0
    crowded = _targets(torch.full((2, 6, 6), 0.9))
    assert loss < distillation_loss((logits, terms, None), crowded)


def test_a_map_of_another_size_learns_from_the_nearest_cells() -> None:
    """Half as many cells: every second one's targets; boxes are relative to the image and stay."""
    objectness = torch.arange(16.0).view(1, 4, 4) / 16
    resized = _targets(objectness).resized((2, 2))
    assert torch.equal(resized.objectness, objectness[:, ::2, ::2])
    assert resized.boxes.shape == (1, 4, 2, 2)
    raw = (torch.zeros(1, 1, 2, 2), torch.zeros(1, 4, 2, 2), None)
    assert torch.isfinite(distillation_loss(raw, _targets(objectness)))


def test_a_step_minimises_both_losses() -> None:
    """That of the boxes, and by the recipe's weight that of the soft targets."""
    batch = next(make_data().batches("val"))
    network = make_network().eval()
    module = NetworkModule(network, recipe=Recipe(distillation=0.5))
    module.teacher = Teacher(_small())
    raw, soft = network.raw(batch.images), module.teacher(batch.images)
    expected = detection_loss(raw, batch.targets).total + 0.5 * distillation_loss(raw, soft)
    assert torch.allclose(module.training_step(batch, 0), expected, rtol=1e-4)


@pytest.mark.parametrize("freeze", ["none", "backbone"])
def test_a_teacher_stays_what_it_was(freeze: Freeze, images: Tensor) -> None:
    """Its targets are the same after a training, in which it made a difference."""
    seed = _small()
    teacher = Teacher(seed)
    first = teacher(images)
    with_teacher, alone = (_trained(Recipe(freeze=freeze), one) for one in (teacher, None))
    again = teacher(images)
    assert torch.equal(first.objectness, again.objectness)
    assert torch.equal(first.boxes, again.boxes)
    assert not any(parameter.requires_grad for parameter in seed.parameters())
    assert not equal(with_teacher.head, alone.head)


@pytest.mark.parametrize("shared", [True, False])
def test_targets_are_cached_with_the_features(shared: bool) -> None:
    """To half precision; a backbone that both have is run once for an image of a copy."""
    seed, data, network = _small(), make_data(), _small()
    if not shared:
        with torch.no_grad():
            network.backbone.conv1[0].weight.add_(0.1)
    seen: list[int] = []
    seed.backbone.register_forward_hook(lambda _module, given, _made: seen.append(len(given[0])))
    teacher = Teacher(seed)
    assert teacher.shares("backbone", network.backbone.eval()) == shared
    images = next(data.batches("train", epoch=0, augmented=False)).images
    expected = teacher(images)
    with cached_features(network, data, augmented_copies=1, seed=0, teacher=teacher) as features:
        seen.clear()
        assert features.teacher is not None
        batch = features.on_after_batch_transfer(next(iter(features.train_dataloader())), 0)
        cached = features.teacher(batch.images)
        next(iter(features.val_dataloader()))
    assert seen == ([] if shared else [4])
    assert torch.allclose(cached.objectness, expected.objectness, atol=1e-3)
    assert torch.allclose(cached.boxes, expected.boxes, atol=1e-3)
    assert torch.equal(teacher(images).objectness, expected.objectness)


def test_class_targets_are_cached_too(detector: FastestDet) -> None:
    """To half precision, with features of FastestDet's three scales."""
    data, teacher = make_data(), Teacher(detector)
    expected = teacher(next(data.batches("train", epoch=0, augmented=False)).images)
    network = copy.deepcopy(detector)
    with cached_features(network, data, augmented_copies=1, seed=0, teacher=teacher) as features:
        batch = features.on_after_batch_transfer(next(iter(features.train_dataloader())), 0)
        assert features.teacher is not None
        cached = features.teacher(batch.images)
    for one, other in zip(cached, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-3)


def test_another_backbone_is_told_from_the_own() -> None:
    """By its kind, its structure and its weights."""
    teacher, other = Teacher(_small()), _small().backbone
    assert teacher.shares("backbone", other)
    with torch.no_grad():
        other.conv1[1].get_buffer("running_mean").add_(0.1)
    assert not teacher.shares("backbone", other)
    assert not teacher.shares("backbone", nn.Sequential(other))
    assert not Teacher(nn.Conv2d(3, 5, 16, stride=16)).shares("backbone", other)


def test_the_average_of_a_trainings_weights_shares_its_teacher() -> None:
    """Lightning copies the whole module for it: two networks more that would never be used."""
    module = NetworkModule(make_network(), recipe=Recipe())
    module.teacher = Teacher(_small())
    assert copy.deepcopy(module).teacher is module.teacher


def test_a_recipe_without_distillation_runs_no_teacher() -> None:
    """The training is that of the boxes alone."""
    seed = _small()
    calls: list[object] = []
    seed.register_forward_hook(lambda *given: calls.append(given))
    one, other = (_trained(Recipe(distillation=0.0), teacher) for teacher in (Teacher(seed), None))
    assert not calls
    assert equal(one, other)


def test_teachers_of_other_classes_or_weights_have_other_identities(detector: FastestDet) -> None:
    """A training with another teacher is another training."""
    identities = {Teacher(detector, classes=classes).identity for classes in ((0,), (1,), None)}
    assert Teacher(copy.deepcopy(detector), classes=(0,)).identity in identities
    assert len(identities | {Teacher(_small(), classes=(0,)).identity}) == 4


class _Killed(BaseException):
    """Ends a training from inside, as a signal would."""


def _kill(epoch: int, _metrics: object) -> None:
    if epoch == EPOCHS:
        raise _Killed


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(freeze="backbone"),
        Recipe(freeze="backbone", augmented_copies=1),  # the third epoch mixes the targets of both copies
    ],
    ids=["all", "frozen", "mixed copies"],
)
def test_an_interrupted_distillation_continues_to_the_same_bits(tmp_path: Path, recipe: Recipe) -> None:
    """With targets that are computed again."""
    whole = _trained(recipe, Teacher(_small()))
    with pytest.raises(_Killed):
        _trained(recipe, Teacher(_small()), checkpoint_dir=tmp_path, on_epoch=_kill)
    assert equal(_trained(recipe, Teacher(_small()), checkpoint_dir=tmp_path), whole)

"""The seed network as a teacher."""

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from common import make_parser, open_bench
from torch import Tensor, nn

from mlflow_nas.config import StudyOptions
from mlflow_nas.data import DetectionDataModule, DetectionDataset, load_dataset
from mlflow_nas.search import Workbench
from mlflow_nas.space import SPACES, FastestDet, SeedWeights, build_detector, fastestdet_head, load_space
from mlflow_nas.train import (
    DetectorModule,
    Freeze,
    Recipe,
    Teacher,
    decode,
    detection_loss,
    fit,
    named_recipe,
)
from mlflow_nas.train.decode import boxes_of_cells
from mlflow_nas.train.distillation import Lesson, distillation_loss
from mlflow_nas.train.features import cached_features

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
        assert torch.allclose(one.scores, other.scores, atol=1e-4)
        assert torch.equal(one.labels, other.labels)


def test_all_classes_are_taught_as_they_are() -> None:
    """Without a choice of classes objectness and probabilities are the network's own, but for rounding."""
    network, images = _seed(), _images()
    lesson, output = Teacher(network)(images), network(images)
    assert torch.allclose(lesson.objectness, output[:, 0], atol=1e-4)
    assert lesson.classes is not None
    assert torch.allclose(lesson.classes, output[:, 5:], atol=1e-4)
    assert Teacher(_seed(1))(images).classes is None


def test_who_says_the_same_has_nothing_to_learn() -> None:
    """At the seed network's own outputs the loss is 0, but for rounding, and any change costs."""
    network, images = _seed(), _images()
    lesson = Teacher(network)(images)
    raw = [part.clone().requires_grad_() for part in _raw(network, images) if part is not None]
    objectness, box, classes = raw
    loss = distillation_loss((objectness, box, classes), lesson)
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
        assert distillation_loss(changed, lesson) > loss + 1e-3


def test_a_batch_without_objects_does_not_outweigh_the_others() -> None:
    """It is divided by a fiftieth of its cells; the boxes get no gradient."""
    logits, terms = torch.full((2, 1, 6, 6), -3.0, requires_grad=True), torch.zeros(2, 4, 6, 6)
    loss = distillation_loss((logits, terms.requires_grad_(), None), _lesson(torch.full((2, 6, 6), 0.001)))
    loss.backward()  # type: ignore[no-untyped-call]  # torch's
    wanted, own = 0.001, torch.sigmoid(torch.tensor(-3.0)).item()
    divergence = wanted * math.log(wanted / own) + (1 - wanted) * math.log((1 - wanted) / (1 - own))
    assert loss.item() == pytest.approx(divergence / 0.02, rel=1e-3)
    assert terms.grad is None or terms.grad.abs().max() == 0
    crowded = _lesson(torch.full((2, 6, 6), 0.9))
    assert loss < distillation_loss((logits, terms, None), crowded)


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


def _weights(seed: nn.Module) -> SeedWeights:
    return SeedWeights(state=seed.state_dict(), source="test")


def _candidate(seed: FastestDet) -> FastestDet:
    return build_detector(SMALL, num_classes=1, weights=_weights(seed))


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
    module = DetectorModule(network, recipe=Recipe(distillation=0.5))
    module.teacher = Teacher(seed)
    raw, lesson = network.raw(batch.images), module.teacher(batch.images)
    expected = detection_loss(raw, batch.targets).total + 0.5 * distillation_loss(raw, lesson)
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


@pytest.mark.parametrize("shared", [True, False])
def test_what_is_said_of_cached_images_is_kept_with_their_features(shared: bool) -> None:
    """To half precision, with classes; a backbone that both have is run once for an image of a view."""
    seed, data = _seed(), _data()
    network = build_detector(BASELINE, num_classes=CLASSES, weights=_weights(seed))
    if not shared:
        with torch.no_grad():
            network.backbone.conv1[0].weight.add_(0.1)
    seen: list[int] = []
    seed.backbone.register_forward_hook(lambda _module, given, _made: seen.append(len(given[0])))
    teacher = Teacher(seed)
    assert teacher.shares(network.backbone.eval()) == shared
    images = next(data.batches("train", epoch=0, augmented=False)).images
    expected = teacher(images)
    with cached_features(network, data, views=1, seed=0, teacher=teacher) as features:
        seen.clear()
        assert features.teacher is not None
        batch = features.on_after_batch_transfer(next(iter(features.train_dataloader())), 0)
        cached = features.teacher(batch.images)
        next(iter(features.val_dataloader()))
    assert seen == ([] if shared else [4])
    for one, other in zip(cached, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-3)
    assert torch.equal(teacher(images).objectness, expected.objectness)


def test_another_backbone_is_told_from_the_own() -> None:
    """By its kind, its structure and its weights."""
    seed = _seed(1)
    teacher, other = Teacher(seed), _seed(1).backbone
    assert teacher.shares(other)
    with torch.no_grad():
        other.conv1[1].running_mean.add_(0.1)
    assert not teacher.shares(other)
    assert not teacher.shares(nn.Sequential(other))
    assert not Teacher(nn.Conv2d(3, 5, 16, stride=16)).shares(other)


def test_the_average_of_a_trainings_weights_has_no_teacher_of_its_own() -> None:
    """Lightning copies the whole module for it: two networks more that would never be asked."""
    module = DetectorModule(_seed(), recipe=Recipe())
    module.teacher = Teacher(_seed())
    assert copy.deepcopy(module).teacher is module.teacher


def test_a_recipe_without_distillation_asks_no_teacher() -> None:
    """The training is that of the boxes alone."""
    seed = _seed(1)
    asked: list[object] = []
    seed.register_forward_hook(lambda *given: asked.append(given))
    one, other = (_trained(Recipe(distillation=0.0), teacher) for teacher in (Teacher(seed), None))
    assert not asked
    assert torch.equal(one.head.box[3].weight, other.head.box[3].weight)


def test_teachers_of_other_classes_or_weights_teach_something_else() -> None:
    """A training goes on with the same one only."""
    same = [Teacher(_seed(), classes=(0,)).identity for _ in range(2)]
    assert same[0] == same[1]
    assert Teacher(_seed(), classes=(1,)).identity != same[0]
    assert Teacher(_seed(), classes=None).identity != same[0]


class _Killed(BaseException):
    """Ends a training from inside, as a signal would."""


def _kill(number: int, _metrics: object) -> None:
    if number == 3:
        raise _Killed


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(freeze="backbone"),
        Recipe(freeze="backbone", views=1),  # the third and fourth epochs mix what was said of both
    ],
    ids=["all", "frozen", "mixed views"],
)
def test_an_interrupted_training_is_taught_on_to_the_same_bits(tmp_path: Path, recipe: Recipe) -> None:
    """By the same seed network; by another one it begins anew."""
    checkpoint = tmp_path / "training.ckpt"
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
    images = torch.from_numpy(bench.real_images(BASELINE, 2))
    assert bench.weights is not None
    whole = build_detector(BASELINE, num_classes=80, weights=bench.weights.uncut).eval()
    with torch.inference_mode():
        output = whole(images)
    teacher = bench.teacher(SMALL)
    assert teacher is not None
    lesson = teacher(images)
    assert lesson.classes is None
    assert torch.allclose(lesson.objectness, output[:, 0] * output[:, 5] ** (0.4 / 0.6), atol=1e-5)


def test_there_is_no_teacher_where_there_is_none_to_have(bench: Workbench) -> None:
    """No weights, weights of another number of classes, or a backbone alone."""
    assert bench.weights is not None
    backbone = {name: value for name, value in bench.weights.state.items() if name.startswith("backbone.")}
    for weights in (None, bench.weights.uncut, SeedWeights(state=backbone, source="test")):
        assert replace(bench, weights=weights).teacher(SMALL) is None


def _of_two_classes(data: DetectionDataset) -> DetectionDataset:
    return DetectionDataset(data.records, name=data.name, uri=data.uri, classes=("person", "ball"))


@pytest.mark.parametrize("space", list(SPACES))
@pytest.mark.parametrize("seed_classes", [1, 2])
def test_a_seed_network_teaches_its_own_classes_in_every_space(
    bench: Workbench, space: str, seed_classes: int
) -> None:
    """And no other number of them."""
    chosen = load_space(space)
    seed = chosen.build(chosen.baseline, seed_classes)
    own = replace(bench, space=chosen, weights=_weights(seed))
    teacher = own.teacher(chosen.baseline)
    assert (teacher is not None) == (seed_classes == len(bench.val.classes))
    two = replace(own, val=_of_two_classes(bench.val))
    assert (two.teacher(chosen.baseline) is not None) == (seed_classes == 2)


class _Positions(FastestDet):
    """Has a weight for each place of its input: another one for each width."""

    def __init__(self, width: int) -> None:
        whole = build_detector(BASELINE, num_classes=1)
        super().__init__(backbone=whole.backbone, neck=whole.neck, head=whole.head)
        self.places = nn.Parameter(torch.zeros(1, 3, 1, width))

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        return super().raw(images + self.places)


def test_a_network_of_another_input_size_teaches_where_it_can(bench: Workbench) -> None:
    """One that depends on the input's width only candidates of its own width."""
    space = replace(
        bench.space, build=lambda architecture, _classes: _Positions(int(architecture["img_width"]))
    )
    own = replace(bench, space=space, weights=_weights(_Positions(320)))
    assert own.teacher(BASELINE) is not None
    assert own.teacher({**BASELINE, "img_width": 220}) is None


def test_the_default_weight_is_what_the_option_says() -> None:
    """Ours has one, the published recipe none."""
    said = str(StudyOptions.model_fields["distillation"].description)
    assert (
        f"unset: {named_recipe('ours').distillation:g}, published {named_recipe('published').distillation:g}"
        in said
    )
    assert named_recipe("published", distillation=0.5).distillation == 0.5

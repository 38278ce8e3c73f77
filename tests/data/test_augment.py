"""Where the boxes say that an object is, its pixels are."""

import pytest
import torch
from torch import Tensor

from mlflow_nas.data import Augmentation, augment_batch

MOVING: tuple[Augmentation, ...] = ("flip-zoom", "crop-shrink")
COUNT = 32


def _batch(height: int = 96, width: int = 128) -> tuple[Tensor, Tensor]:
    """Black images with one white rectangle each, in pixels, and its box."""
    images = torch.zeros(COUNT, 3, height, width, dtype=torch.uint8)
    targets = torch.zeros(COUNT, 7)
    for index in range(COUNT):
        left, top = 20 + 2 * index % 40, 30 + index % 20
        images[index, :, top : top + 24, left : left + 36] = 255
        box = torch.tensor([(left + 18) / width, (top + 12) / height, 36 / width, 24 / height])
        targets[index] = torch.cat([torch.tensor([index, 0]), box, torch.zeros(1)])
    return images.contiguous(memory_format=torch.channels_last), targets


def _white_box(image: Tensor) -> Tensor:
    """x1, y1, x2, y2 of what is nearly white, relative to the image."""
    rows, columns = (image.mean(dim=0) > 0.66).nonzero(as_tuple=True)
    height, width = image.shape[1:]
    corners = [columns.min() / width, rows.min() / height, (columns.max() + 1) / width]
    return torch.stack([*corners, (rows.max() + 1) / height])


@pytest.mark.parametrize("augmentation", MOVING)
def test_boxes_move_with_their_objects(augmentation: Augmentation) -> None:
    """After crop, shrink, flip and colours the box still frames the rectangle, to two pixels."""
    images, targets = augment_batch(*_batch(), seed=3, augmentation=augmentation)
    assert len(targets) > COUNT / 2
    for row in targets:
        half = row[4:6] / 2
        framed = torch.cat([row[2:4] - half, row[2:4] + half])
        assert torch.allclose(framed, _white_box(images[int(row[0])]), atol=2 / 96)


@pytest.mark.parametrize("augmentation", MOVING)
def test_an_augmentation_repeats(augmentation: Augmentation) -> None:
    """The same seed gives the same batch, another seed another; the order of the bytes plays no part."""
    images, targets = _batch()
    first = augment_batch(images, targets, seed=1, augmentation=augmentation)
    again = augment_batch(images.contiguous(), targets, seed=1, augmentation=augmentation)
    other = augment_batch(images, targets, seed=2, augmentation=augmentation)
    assert (first[0] - again[0]).abs().max() <= 2 / 255
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_the_batch_is_left_as_it_was() -> None:
    """What is cached in memory is the same in the next epoch."""
    images, targets = _batch()
    before = images.clone(), targets.clone()
    augment_batch(images, targets, seed=1)
    assert torch.equal(images, before[0])
    assert torch.equal(targets, before[1])


def test_no_augmentation_scales_to_one() -> None:
    """Bytes become 0..1 and boxes stay."""
    images, targets = _batch()
    plain, same = augment_batch(images, targets, seed=1, augmentation="none")
    assert torch.equal(plain, images.float() / 255)
    assert torch.equal(same, targets)


def _is_grey(lines: Tensor) -> Tensor:
    return (lines - 128 / 255).abs().amax(dim=(1, 2)) < 1 / 255


def test_the_published_augmentation_crops_or_shrinks_and_keeps_the_rest() -> None:
    """Images grow to at most 4/3 or shrink to at least 4/5; none is mirrored; grey surrounds a shrunk one."""
    images = torch.full((COUNT, 3, 100, 100), 200, dtype=torch.uint8)
    images[:, :, :, 50:] = 100
    targets = torch.tensor([[index, 0, 0.5, 0.5, 0.02, 0.02, 0] for index in range(COUNT)])
    moved, boxes = augment_batch(images, targets, seed=0, augmentation="crop-shrink")
    growth = boxes[:, 4:6] / 0.02
    assert len(boxes) == COUNT
    assert growth.min() >= 0.79
    assert growth.max() <= 1.35
    assert ((growth[:, 0] > 1) == (growth[:, 1] > 1)).float().mean() > 0.8
    shrunk = (growth < 0.95).all(dim=1)
    bordered = _is_grey(moved[:, :, 0]) | _is_grey(moved[:, :, -1])
    assert bordered[shrunk].all()
    assert not bordered[(growth > 1.05).all(dim=1)].any()
    places = boxes[:, 2].mul(100).long()
    left, right = (moved[range(COUNT), 0, 50, (places + step).clamp(0, 99)] for step in (-6, 6))
    assert (left > right).all()

"""A split with evaluation augmentations of each image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import EMPTY, PERSON, DrawnImage, write_voc

from mlflow_nas.data import (
    DetectionDataset,
    default_eval_augmentations,
    load_dataset,
    load_splits,
    with_eval_augmentations,
)
from mlflow_nas.data.dataset import MemoryImage
from mlflow_nas.errors import ConfigError

DIFFICULT = DrawnImage("two.png", [*PERSON.objects, ("person", (40, 5, 64, 20), True)])
GREY = 128


@pytest.fixture
def own(tmp_path: Path) -> DetectionDataset:
    """An image with two boxes, one of them difficult, and one without boxes."""
    return load_dataset(write_voc(tmp_path, {"val": [DIFFICULT, EMPTY]}), "val", ("person",))


def test_mirror_images_follow_the_images(own: DetectionDataset) -> None:
    """Pixels and boxes change sides; classes and what is to be ignored stay, also where there is no box."""
    both = with_eval_augmentations(own, 2)
    assert (len(both), both.eval_augmentations, own.eval_augmentations) == (4, 2, 1)
    for index, plain in enumerate(own):
        again, mirrored = both[index], both[index + len(own)]
        np.testing.assert_array_equal(again.image, plain.image)
        np.testing.assert_array_equal(mirrored.image, plain.image[:, ::-1])
        np.testing.assert_array_equal(mirrored.labels, plain.labels)
        np.testing.assert_array_equal(mirrored.ignore, plain.ignore)
        assert mirrored.boxes.shape == plain.boxes.shape
    left, top, right, bottom = own[0].boxes[0]
    np.testing.assert_array_equal(both[2].boxes[0], [64 - right, top, 64 - left, bottom])
    assert both[2].boxes.dtype == np.float32


@pytest.mark.parametrize(("augmentation", "mirrored"), [(2, False), (3, True), (4, False), (5, True)])
def test_a_box_stays_around_its_pixels(own: DetectionDataset, augmentation: int, mirrored: bool) -> None:
    """The pixels in each box of an image with a margin are those of the image itself; the rest is grey."""
    seen = with_eval_augmentations(own, 6)[augmentation * len(own)]
    plain = own[0]
    height, width = plain.image.shape[:2]
    assert seen.image.shape == (height + max(round(0.03 * height), 1), width + 2, 3)
    assert len(seen.boxes) == len(plain.boxes) == 2
    for box, before in zip(seen.boxes.astype(int), plain.boxes.astype(int), strict=True):
        inside = seen.image[box[1] : box[3], box[0] : box[2]]
        expected = plain.image[before[1] : before[3], before[0] : before[2]]
        np.testing.assert_array_equal(inside, expected[:, ::-1] if mirrored else expected)
    grey = seen.image[:, ::-1] if mirrored else seen.image
    corner = grey[0] if augmentation < 4 else grey[-1]
    side = grey[:, :2] if augmentation < 4 else grey[:, -2:]
    assert (corner == GREY).all()
    assert (side == GREY).all()


def test_it_is_another_data_set() -> None:
    """Its digest differs, even where an image is its own mirror image; with one it is the same."""
    grey = MemoryImage(np.full((64, 64, 3), GREY, dtype=np.uint8))
    scenes = load_dataset("synthetic:val=2,size=64", "val", ("person",))
    own = scenes.part([replace(record, source=grey) for record in scenes.records])
    assert len({with_eval_augmentations(own, count).digest for count in range(1, 7)}) == 6
    assert with_eval_augmentations(own, 1) is own
    names = {record.image_id for record in with_eval_augmentations(own, 6).records}
    assert len(names) == 12
    assert with_eval_augmentations(own, 6).originals.digest == own.digest


@pytest.mark.parametrize("count", [-1, 0, 7])
def test_there_are_six_augmentations(own: DetectionDataset, count: int) -> None:
    """Another number is refused."""
    with pytest.raises(ConfigError, match=rf"^{count} augm.*choose data.eval_augmentations from 1 to 6"):
        with_eval_augmentations(own, count)


def test_val_alone_is_augmented() -> None:
    """Nothing is learned from them, and the test split stays as it is."""
    uri = "synthetic:train=4,val=2,test=3,size=64"
    train, val, test = load_splits(uri, ("person",), eval_augmentations=2)
    assert test is not None
    assert [(len(part), part.eval_augmentations) for part in (train, val, test)] == [(4, 1), (4, 2), (3, 1)]


def test_few_images_have_more_augmentations() -> None:
    """300 images or more are measured on, of each image two at least and six at most."""
    assert [default_eval_augmentations(count) for count in (2, 50, 60, 61, 149, 150, 404)] == [
        6,
        6,
        5,
        5,
        3,
        2,
        2,
    ]
    assert (
        load_splits(
            "synthetic:train=4,val=70,size=64", ("person",), eval_augmentations=None
        ).val.eval_augmentations
        == 5
    )

"""A split that counts each image a second time, mirrored."""

from pathlib import Path

import numpy as np
from layouts import EMPTY, PERSON, Picture, write_voc

from mlflow_nas.data import load_dataset, load_splits, with_mirror_images

DIFFICULT = Picture("two.png", [*PERSON.objects, ("person", (40, 5, 64, 20), True)])


def test_mirror_images_follow_the_images(tmp_path: Path) -> None:
    """Pixels and boxes change sides; classes and what is to be ignored stay, also where there is no box."""
    own = load_dataset(write_voc(tmp_path, {"val": [DIFFICULT, EMPTY]}), "val", ("person",))
    both = with_mirror_images(own)
    assert (len(both), both.mirrored, own.mirrored) == (4, True, False)
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


def test_it_is_another_data_set() -> None:
    """Its digest differs, even where an image is its own mirror image; mirrored twice it is the first one."""
    own = load_dataset("synthetic:val=2,size=64", "val", ("person",))
    both = with_mirror_images(own)
    assert both.digest != own.digest
    twice = with_mirror_images(both.part(both.records[len(own) :]))
    np.testing.assert_array_equal(twice[2].image, own[0].image)
    np.testing.assert_array_equal(twice[2].boxes, own[0].boxes)


def test_val_alone_is_mirrored() -> None:
    """Nothing is learned from mirror images here, and the test split stays as it is."""
    uri = "synthetic:train=4,val=2,test=3,size=64"
    train, val, test = load_splits(uri, ("person",), mirror_val=True)
    assert test is not None
    assert [(len(part), part.mirrored) for part in (train, val, test)] == [(4, False), (4, True), (3, False)]

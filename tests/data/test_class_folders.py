"""`folder:DIR`: images in folders named after their class."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from class_images import write_class_folders

from mlflow_nas.data import MissingSplitError, in_order, load_dataset, load_splits
from mlflow_nas.errors import ConfigError

CLASSES = ("red", "green")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three classes, 4 images each to train on, 2 to evaluate."""
    return write_class_folders(tmp_path / "data", classes=("red", "green", "blue"))


def test_an_image_has_the_class_of_its_folder(folder: Path) -> None:
    """As a box around the whole image; the order is that of --classes, others are counted and left out."""
    found = load_dataset(f"folder:{folder}", "train", CLASSES)
    assert (len(found), found.truth) == (8, "classes")
    for record in found.records:
        assert record.boxes.tolist() == [[0, 0, record.source.size[1], record.source.size[0]]]
        assert record.path is not None
        assert CLASSES[record.labels[0]] == record.path.parent.name
    assert found.findings.counts["class-other"] == 4
    targets = next(in_order(found, img_size=(32, 32), batch_size=8)).targets
    assert targets.shape == (8, 7)
    assert np.allclose(targets[:, 2:6], [0.5, 0.5, 1, 1])


def test_a_missing_split_class_or_second_class_is_named(folder: Path) -> None:
    """With the layout, what there is, and the option."""
    with pytest.raises(MissingSplitError, match=r"test: missing folder; found train, val there; write"):
        load_dataset(f"folder:{folder}", "test", CLASSES)
    with pytest.raises(ConfigError, match=r"unknown class 'person'; choose from: blue, green, red; name"):
        load_dataset(f"folder:{folder}", "train", ("person",))
    with pytest.raises(ConfigError, match=r"1 class is asked for \(red\), 2 are .* such as blue,green"):
        load_dataset(f"folder:{folder}", "train", ("red",))


def test_an_image_of_two_classes_or_splits_is_refused(folder: Path) -> None:
    """The audit is that of all readers."""
    shutil.copy(folder / "train/red/0.png", folder / "val/red/copy.png")
    with pytest.raises(ConfigError, match=r"images are in two splits, so accuracy is measured on images of"):
        load_splits(f"folder:{folder}", CLASSES)
    shutil.copy(folder / "train/red/0.png", folder / "train/green/copy.png")
    with pytest.raises(ConfigError, match=r"copies of an image have other boxes"):
        load_dataset(f"folder:{folder}", "train", CLASSES)


def test_files_that_are_no_images_are_passed_over_and_broken_ones_named(folder: Path) -> None:
    """Notes stay out; an image that can't be decoded is refused, or skipped when asked for."""
    (folder / "train/red/notes.txt").write_text("by Ada")
    (folder / "train/green/broken.png").write_bytes(b"no image")
    with pytest.raises(ConfigError, match=r"1 of 9 images can't be used, 0 are allowed: .*broken\.png"):
        load_dataset(f"folder:{folder}", "train", CLASSES)
    assert len(load_dataset(f"folder:{folder}", "train", CLASSES, on_bad_image="skip")) == 8

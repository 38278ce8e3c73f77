"""What is special about data.yaml and its label files."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from layouts import EMPTY, PERSON, DrawnImage, write_yolo

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError


def _set(root: Path, **keys: object) -> None:
    """Change keys of data.yaml."""
    file = root / "data.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **keys}))


def test_names_may_be_a_list_and_splits_lists_of_files(tmp_path: Path) -> None:
    """Folders, a text file of paths relative to it, and several of them, as Ultralytics takes them."""
    uri = write_yolo(tmp_path, {"train": [PERSON, EMPTY], "more": [DrawnImage("third.png", PERSON.objects)]})
    (tmp_path / "some.txt").write_text("./images/train/person.png\n\n")
    _set(tmp_path, names=["dog", "person"], train=["some.txt", "images/more"])
    assert len(load_dataset(uri)) == 2
    assert len(load_dataset(f"yolo:{tmp_path}/data.yaml")) == 2


def test_a_list_of_files_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Written on a machine with another encoding, for example."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "some.txt").write_bytes("./images/train/Müller.png".encode("latin-1"))
    _set(tmp_path, train="some.txt")
    with pytest.raises(ConfigError, match=r"some\.txt: not readable as a list of images in UTF-8"):
        load_dataset(uri)


def test_path_is_the_root_and_may_be_that_of_another_machine(tmp_path: Path) -> None:
    """A folder that is not here gives way to that of data.yaml; ../train/images may mean train/images."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    _set(tmp_path, path="/nowhere/datasets/people", train="../images/train")
    assert len(load_dataset(uri)) == 1
    _set(tmp_path, path="images", train="train")
    assert len(load_dataset(uri)) == 1


def test_an_outline_is_framed(tmp_path: Path) -> None:
    """Segmentation labels hold corners; the box is what they span."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "labels/train/person.txt").write_text("1 0.25 0.5 0.5 0.25 0.75 1.0\n")
    (record,) = load_dataset(uri).records
    np.testing.assert_allclose(record.boxes, [[16, 12, 48, 48]])


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("7 .5 .5 .1 .1", r"person.txt, line 1: class 7 is not in names; correct the line"),
        ("1 .5 .5 .1", r"3 numbers after the class are neither a box \(4\) nor an outline"),
        ("person .5 .5 .1 .1", r"line 1: class 'person' is no whole number; correct the line"),
        ("1.5 .5 .5 .1 .1", r"line 1: class '1.5' is no whole number"),
        ("nan .5 .5 .1 .1", r"line 1: class 'nan' is no whole number"),
        ("1 .5 .5 inf .1", r"line 1: a number 'inf' is no finite number"),
    ],
)
def test_a_malformed_line_is_named(line: str, sentence: str, tmp_path: Path) -> None:
    """With its file, its number and what is wrong."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "labels/train/person.txt").write_text(line)
    with pytest.raises(ConfigError, match=sentence):
        load_dataset(uri)


def test_a_data_yaml_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    """Missing, no YAML, no mapping, without names, or naming a folder that is not there."""
    with pytest.raises(
        ConfigError, match=r"data.yaml can't be read: No such file or directory; write yolo:DIR"
    ):
        load_dataset(f"yolo:{tmp_path}")
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    _set(tmp_path, train="images/trian")
    with pytest.raises(
        ConfigError, match=r"images/trian: no folder and no list of images, named by .*as train"
    ):
        load_dataset(uri)
    _set(tmp_path, names="person")
    with pytest.raises(ConfigError, match=r"names is 'person', not a list of class names"):
        load_dataset(uri)
    (tmp_path / "data.yaml").write_text("- a list")
    with pytest.raises(ConfigError, match="must hold path, train, val and names"):
        load_dataset(uri)
    (tmp_path / "data.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_dataset(uri)

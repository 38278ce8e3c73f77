"""Boxes in another unit, order or place, classes of nearly the requested name, and flags in words."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from layouts import PERSON, DrawnImage, Write, write_coco, write_voc, write_yolo

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError

TWO = DrawnImage(
    "two.png", [("person", (10.0, 8.0, 30.0, 40.0), False), ("person", (40.0, 20.0, 60.0, 44.0), False)]
)


def _change_coco(root: Path, change: Callable[[dict[str, Any]], None]) -> str:
    """A COCO folder whose annotations are changed."""
    uri = write_coco(root, {"train": [TWO]})
    file = root / "train.json"
    document = json.loads(file.read_text())
    for entry in document["annotations"]:
        change(entry)
    file.write_text(json.dumps(document))
    return uri


def test_coco_boxes_in_shares_are_refused(tmp_path: Path) -> None:
    """The sentence says what they should be."""

    def to_shares(entry: dict[str, Any]) -> None:
        entry["bbox"] = [value / side for value, side in zip(entry["bbox"], (64, 48, 64, 48), strict=True)]

    with pytest.raises(
        ConfigError, match=r"2 boxes are smaller than a pixel, so they are shares; write them in"
    ):
        load_dataset(_change_coco(tmp_path, to_shares))


def test_voc_boxes_in_shares_are_refused(tmp_path: Path) -> None:
    """Whatever the first pixel's number is."""
    uri = write_voc(tmp_path, {"train": [TWO]})
    file = tmp_path / "VOC2012/Annotations/two.xml"
    text = file.read_text()
    for value in ("11", "9", "30", "40.0", "41", "21", "60", "44"):
        text = text.replace(f">{value}<", ">0.4<").replace(f">{value}.0<", ">0.5<")
    file.write_text(text)
    with pytest.raises(ConfigError, match="boxes are smaller than a pixel, so they are shares"):
        load_dataset(uri)


def test_yolo_boxes_in_pixels_are_refused(tmp_path: Path) -> None:
    """The other way round."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "labels/train/person.txt").write_text("1 20 24 20 32\n1 .5 .5 .1 .1\n")
    with pytest.raises(ConfigError, match=r"1 boxes have numbers above 2, so they are pixels; write them as"):
        load_dataset(uri)


def test_coco_boxes_as_corners_are_refused(tmp_path: Path) -> None:
    """Read as width and height, corners reach out of the image."""

    def to_corners(entry: dict[str, Any]) -> None:
        x, y, width, height = entry["bbox"]
        entry["bbox"] = [x, y, x + width, y + height]

    with pytest.raises(ConfigError, match=r"and all are corners in it; write bbox as x, y, width, height"):
        load_dataset(_change_coco(tmp_path, to_corners))


def test_boxes_of_an_image_of_another_size_are_refused(tmp_path: Path) -> None:
    """Most of them reach far out of this one."""

    def enlarge(entry: dict[str, Any]) -> None:
        entry["bbox"] = [3 * value for value in entry["bbox"]]

    with pytest.raises(ConfigError, match=r"2 boxes are empty, reversed, or far out of their image"):
        load_dataset(_change_coco(tmp_path, enlarge))


def _write_other_class(write: Write, root: Path, name: str) -> str:
    """Two persons, one of them of a class with another name."""
    drawn = DrawnImage("two.png", [TWO.objects[0], ("dog", TWO.objects[1][1], False)])
    uri = write(root, {"train": [drawn]})
    for file in [*root.rglob("*.json"), *root.rglob("*.xml"), *root.glob("*.yaml")]:
        file.write_text(file.read_text().replace("dog", name))
    return uri


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
@pytest.mark.parametrize("name", ["Person", "persons", "per son"])
def test_a_class_of_nearly_the_requested_name_is_refused(write: Write, name: str, tmp_path: Path) -> None:
    """Case, blanks and plural; its boxes would be background."""
    with pytest.raises(ConfigError, match=rf"nearly that of a requested one.*'{name}' beside 'person': 1"):
        load_dataset(_write_other_class(write, tmp_path, name))


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
def test_boxes_of_other_classes_are_counted_without_a_warning(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Most data sets have classes that a study does not need."""
    dataset = load_dataset(_write_other_class(write, tmp_path, "tree"))
    assert dataset.findings.counts == {"class-other": 1}
    assert caplog.text == ""


def test_a_class_without_boxes_is_a_warning(tmp_path: Path) -> None:
    """Where other requested ones have some."""
    dataset = load_dataset(write_coco(tmp_path, {"train": [PERSON]}), "train", ("person", "dog"))
    assert dataset.findings.counts == {"class-without-box": 1}


@pytest.mark.parametrize(
    ("value", "ignored"), [("0", 0), ("1", 2), (0.0, 0), (True, 2), ("false", 0), (None, 0)]
)
def test_a_coco_flag_is_read_by_its_meaning(value: object, ignored: int, tmp_path: Path) -> None:
    """Text is not true because it is not empty; `ignore` counts as `iscrowd` does."""
    for name in ("iscrowd", "ignore"):
        crowd = {"iscrowd": 0, name: value}
        uri = _change_coco(tmp_path / name, lambda entry, crowd=crowd: entry.update(crowd))  # type: ignore[misc]
        if ignored:
            with pytest.raises(ConfigError, match="no box of person in split 'train'"):
                load_dataset(uri)
        else:
            (record,) = load_dataset(uri).records
            assert record.ignore.tolist() == [False, False]


@pytest.mark.parametrize("word", ["True", "1", "1.0", "yes"])
def test_a_voc_flag_is_read_by_its_meaning(word: str, tmp_path: Path) -> None:
    """Difficult may be written in words."""
    uri = write_voc(tmp_path, {"train": [TWO]})
    file = tmp_path / "VOC2012/Annotations/two.xml"
    file.write_text(file.read_text().replace("<difficult>0", f"<difficult>{word}", 1))
    (record,) = load_dataset(uri).records
    assert record.ignore.tolist() == [True, False]


def test_a_flag_that_is_none_is_refused(tmp_path: Path) -> None:
    """With its annotation and its value."""
    with pytest.raises(ConfigError, match=r"annotation 0: iscrowd 'maybe' is no flag; write 0 or 1"):
        load_dataset(_change_coco(tmp_path, lambda entry: entry.update(iscrowd="maybe")))


def test_a_coco_category_that_was_not_requested_needs_no_box(tmp_path: Path) -> None:
    """What is not used is not checked."""
    uri = _write_other_class(write_coco, tmp_path, "tree")
    file = tmp_path / "train.json"
    document = json.loads(file.read_text())
    del document["annotations"][1]["bbox"]
    file.write_text(json.dumps(document))
    (record,) = load_dataset(uri).records
    assert len(record.boxes) == 1


@pytest.mark.parametrize("size", ["<width /><height />", "<width>64.0</width><height>48.0</height>"])
def test_a_voc_size_may_be_empty_or_decimal(size: str, tmp_path: Path) -> None:
    """An empty one is none, 64.0 is 64; another one is refused."""
    uri = write_voc(tmp_path, {"train": [TWO]})
    file = tmp_path / "VOC2012/Annotations/two.xml"
    text = file.read_text()
    file.write_text(text.replace("<width>64</width><height>48</height>", size))
    assert len(load_dataset(uri)) == 1
    file.write_text(text.replace("<width>64</width>", "<width>wide</width>"))
    with pytest.raises(ConfigError, match=r"two\.xml: malformed \(width 'wide' is no whole number\)"):
        load_dataset(uri)


POINTS = " ".join(["0.5"] * 8)


def _write_rows(root: Path, *rows: str, **keys: object) -> str:
    uri = write_yolo(root, {"train": [TWO]})
    (root / "labels/train/two.txt").write_text("\n".join(rows))
    file = root / "data.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **keys}))
    return uri


def test_the_box_of_a_pose_row_is_its_first_four_numbers(tmp_path: Path) -> None:
    """Where kpt_shape says so; a row of another length is refused."""
    uri = _write_rows(tmp_path, f"1 .5 .5 .25 .5 {POINTS}", kpt_shape=[4, 2])
    (record,) = load_dataset(uri).records
    assert record.boxes.tolist() == [[24, 12, 40, 36]]
    _write_rows(tmp_path, "1 .5 .5 .25 .5 .5 .5", kpt_shape=[4, 2])
    with pytest.raises(ConfigError, match=r"6 numbers after the class, kpt_shape of .*data\.yaml says 12"):
        load_dataset(uri)
    _write_rows(tmp_path, "1 .5 .5 .25 .5", kpt_shape="many")
    with pytest.raises(ConfigError, match=r"kpt_shape is 'many', not two numbers such as \[17, 3\]"):
        load_dataset(uri)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([f"1 .5 .5 .25 .5 {POINTS}"] * 2, r"all 2 rows of more than 4 numbers have 12; .*write kpt_shape"),
        (["1 .5 .5 .25 .5 1 .9"] * 2, r"have 6; they seem to be .*a score or track id \(then remove"),
        (["1 .1 .1 .5 .1 .5 .5 .1 .5"] * 2, r"oriented boxes, which are not supported: export upright ones"),
        (["1 .5 .5 .25 .5 17 .9"], r"line 1: 17 is no share of the image; remove columns such as scores and"),
        (["1 .5 .5 .25 .5 .9"], r"5 numbers after the class are neither a box \(4\) nor an outline"),
    ],
    ids=["pose", "score and id", "oriented", "track id", "score"],
)
def test_long_rows_that_are_no_outlines_are_refused(rows: list[str], sentence: str, tmp_path: Path) -> None:
    """All rows of one length are not the outlines of things."""
    with pytest.raises(ConfigError, match=sentence):
        load_dataset(_write_rows(tmp_path, *rows))


def test_the_user_may_say_that_rows_of_one_length_are_outlines(tmp_path: Path) -> None:
    """Outlines of different lengths need no word."""
    row = "1 .25 .25 .5 .25 .5 .5 .25 .5"
    uri = _write_rows(tmp_path, row, "1 .5 .5 .75 .5 .75 .75 .5 .75")
    assert len(load_dataset(f"{uri}?rows=outlines").records[0].boxes) == 2
    _write_rows(tmp_path, row, "1 .5 .5 .75 .5 .75 .75")
    assert len(load_dataset(uri).records[0].boxes) == 2
    with pytest.raises(ConfigError, match=r"rows=poses: leave it out, or write rows=outlines"):
        load_dataset(f"{uri}?rows=poses")

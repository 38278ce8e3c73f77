"""What stands twice in a data set is used once and counted, or refused where both contradict each other."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from layouts import EMPTY, LAYOUTS, PERSON, DrawnImage, Write, write_coco, write_voc, write_yolo

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError

EVERY = pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
TWICE = DrawnImage("twice.png", [*PERSON.objects, *PERSON.objects, ("person", (40, 20, 60, 40), False)])


@EVERY
def test_a_repeated_box_is_left_out(write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whether its row, object or annotation stands twice; one line counts and names them."""
    dataset = load_dataset(write(tmp_path, {"train": [TWICE, EMPTY]}))
    assert sorted(len(record.boxes) for record in dataset.records) == [0, 2]
    assert dataset.findings.counts["box-repeated"] == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "1 repeated boxes are left out (" in line
    assert f"`mlflow_nas data check {dataset.uri}` shows them" in line


@EVERY
def test_a_nearly_equal_box_is_a_repeated_one_and_another_class_is_not(write: Write, tmp_path: Path) -> None:
    """Exports round differently; one place may hold objects of two classes."""
    objects = [
        ("person", (10.0, 8.0, 30.0, 40.0), False),
        ("person", (10.02, 8.0, 30.0, 40.01), False),
        ("dog", (10.0, 8.0, 30.0, 40.0), False),
    ]
    uri = write(tmp_path, {"train": [DrawnImage("near.png", objects)]})
    (record,) = load_dataset(uri, "train", ("person", "dog")).records
    assert record.labels.tolist() == [0, 1]


def _copy_of_person(write: Write, root: Path, objects: list[tuple[str, tuple[float, ...], bool]]) -> str:
    drawn = DrawnImage("copy.png", objects)  # type: ignore[arg-type]  # boxes of four
    uri = write(root, {"train": [PERSON, drawn]})
    (source,), (copy,) = root.rglob("person.png"), root.rglob("copy.png")
    shutil.copy(source, copy)
    return uri


@EVERY
def test_an_image_under_two_names_is_used_once(write: Write, tmp_path: Path) -> None:
    """Where its boxes are the same."""
    dataset = load_dataset(_copy_of_person(write, tmp_path, list(PERSON.objects)))
    assert len(dataset) == 1
    assert dataset.findings.counts["image-repeated"] == 1


@EVERY
def test_an_image_whose_copies_have_other_boxes_is_refused(write: Write, tmp_path: Path) -> None:
    """Objects of one copy are background of the other; both are named."""
    uri = _copy_of_person(write, tmp_path, [("person", (40, 20, 60, 40), False)])
    with pytest.raises(
        ConfigError, match=r"1 copies of an image have other boxes than it.*(copy|person)\S* of"
    ):
        load_dataset(uri)


def test_a_coco_file_under_two_ids_has_the_boxes_of_both(tmp_path: Path) -> None:
    """Its boxes were divided; the entries are named."""
    uri = write_coco(tmp_path, {"train": [TWICE, EMPTY]})
    file = tmp_path / "train.json"
    document = json.loads(file.read_text())
    document["images"].append({**document["images"][0], "id": 77})
    document["annotations"][2]["image_id"] = 77
    file.write_text(json.dumps(document))
    dataset = load_dataset(uri)
    assert sorted(len(record.boxes) for record in dataset.records) == [0, 2]
    (finding,) = [one for one in dataset.findings if one.kind == "entry-repeated"]
    assert finding.examples[0].place == "twice.png: ids 1 and 77"
    document["images"][-1]["width"] = 65
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"twice\.png is listed twice, with two sizes; remove one entry"):
        load_dataset(uri)


def test_a_coco_id_of_two_files_is_refused(tmp_path: Path) -> None:
    """Its boxes belong to either."""
    uri = write_coco(tmp_path, {"train": [PERSON, EMPTY]})
    file = tmp_path / "train.json"
    document = json.loads(file.read_text())
    document["images"][1]["id"] = document["images"][0]["id"]
    file.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"image id 1 is used twice; give each image its own id"):
        load_dataset(uri)


def test_a_voc_id_that_is_listed_again_is_used_once(tmp_path: Path) -> None:
    """Both lines are named."""
    uri = write_voc(tmp_path, {"train": [PERSON, EMPTY]})
    (tmp_path / "VOC2012/ImageSets/Main/train.txt").write_text("person\nempty\nperson\n")
    dataset = load_dataset(uri)
    assert len(dataset) == 2
    (finding,) = dataset.findings
    assert finding.examples[0].place == "train.txt, lines 1 and 3: person"


def test_yolo_entries_that_overlap_are_used_once(tmp_path: Path) -> None:
    """A folder and a list, as with and without ./ in front."""
    uri = write_yolo(tmp_path, {"train": [PERSON, TWICE]})
    (tmp_path / "some.txt").write_text("./images/train/person.png\nimages/train/../train/person.png\n")
    file = tmp_path / "data.yaml"
    file.write_text(
        yaml.safe_dump({**yaml.safe_load(file.read_text()), "train": ["images/train", "some.txt"]})
    )
    dataset = load_dataset(uri)
    assert len(dataset) == 2
    assert dataset.findings.counts == {"entry-repeated": 2, "box-repeated": 1}


def test_two_images_of_one_label_file_are_a_finding(tmp_path: Path) -> None:
    """A folder may hold an image in two formats."""
    uri = write_yolo(tmp_path, {"train": [PERSON, DrawnImage("person.bmp")]})
    (tmp_path / "labels/train/person.txt").write_text("1 .5 .5 .2 .2\n")
    assert load_dataset(uri).findings.counts == {"labels-shared": 1}

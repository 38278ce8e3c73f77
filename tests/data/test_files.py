"""Files are found and read by one rule in every layout."""

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import EMPTY, LAYOUTS, PERSON, DrawnImage, Write, write_coco, write_voc, write_yolo

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError

EVERY = pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
TEXTS = {".txt", ".json", ".yaml", ".xml"}
ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16-le": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
}


@EVERY
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_is_read_with_any_mark_and_line_end(write: Write, encoding: str, tmp_path: Path) -> None:
    """As editors and exports on other systems write it."""
    uri = write(tmp_path, {"train": [PERSON, EMPTY]})
    expected = load_dataset(uri).digest
    for file in tmp_path.rglob("*"):
        if file.suffix in TEXTS:
            file.write_bytes(ENCODINGS[encoding](file.read_text()))
    assert load_dataset(uri).digest == expected


@EVERY
@pytest.mark.parametrize("suffix", [".JPEG", ".jfif", ".gif", ".PNG", ".bmp", ".ppm", ".TIF"])
def test_any_image_that_pillow_decodes_is_found(write: Write, suffix: str, tmp_path: Path) -> None:
    """Whatever the case of its suffix."""
    (record,) = load_dataset(write(tmp_path, {"train": [DrawnImage(f"a{suffix}", PERSON.objects)]})).records
    assert len(record.boxes) == 1


def test_label_files_are_found_in_any_case(tmp_path: Path) -> None:
    """.TXT; two names that differ in their case only are refused."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    labels = tmp_path / "labels/train/person.txt"
    upper = labels.rename(labels.with_suffix(".TXT"))
    assert len(load_dataset(uri).records[0].boxes) == 1
    labels.with_suffix(".Txt").write_bytes(upper.read_bytes())
    with pytest.raises(
        ConfigError, match=r"person\.txt: 2 files fit \(person\.TXT, person\.Txt\), 1 is allowed"
    ):
        load_dataset(uri)


def test_images_without_labels_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Their label file may have another name."""
    dataset = load_dataset(write_yolo(tmp_path, {"train": [PERSON, EMPTY]}))
    assert dataset.findings.counts == {"image-without-labels": 1}
    assert "1 images have no label file, and count as without objects (images/train/empty.png)" in caplog.text


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    """Images of another disk are linked into the data set."""
    uri = write_yolo(tmp_path / "data", {"train": [PERSON], "more": [DrawnImage("b.png", PERSON.objects)]})
    for part in ("images", "labels"):
        (tmp_path / "data" / part / "more").rename(tmp_path / part)
        (tmp_path / "data" / part / "train/cam2").symlink_to(tmp_path / part)
    assert sorted(record.image_id for record in load_dataset(uri).records) == [
        "images/train/cam2/b.png",
        "images/train/person.png",
    ]


def test_a_link_to_a_folder_that_holds_it_is_refused(tmp_path: Path) -> None:
    """It would be followed without end."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "images/train/again").symlink_to(tmp_path / "images")
    with pytest.raises(ConfigError, match=r"a link to a folder that holds it; remove the link"):
        load_dataset(uri)


def test_files_of_operating_systems_are_passed_over(tmp_path: Path) -> None:
    """MacOS and Windows leave them in every folder."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    for name in ("._person.png", "Thumbs.db", ".DS_Store", "__MACOSX"):
        (tmp_path / "images/train" / name).write_bytes(b"no image")
    dataset = load_dataset(uri)
    assert len(dataset) == 1
    assert not len(dataset.findings)


def test_a_coco_file_name_may_count_from_the_json_file(tmp_path: Path) -> None:
    """And may be written with the separators of Windows."""
    uri = write_coco(tmp_path, {"train": [PERSON]})
    file = tmp_path / "train.json"
    document = json.loads(file.read_text())
    for name in ("images/person.png", "images\\person.png", "PERSON.png"):
        document["images"][0]["file_name"] = name
        file.write_text(json.dumps(document))
        assert len(load_dataset(uri)) == 1


def test_voc_ids_may_hold_spaces(tmp_path: Path) -> None:
    """Each line is one id, also where its first word is another one."""
    drawn = [DrawnImage(f"{name}.png", PERSON.objects) for name in ("street", "street (1)", "street 1")]
    dataset = load_dataset(write_voc(tmp_path, {"train": drawn}))
    assert [record.image_id for record in dataset.records] == ["street", "street (1)", "street 1"]


def test_a_voc_list_of_one_class_has_a_second_column(tmp_path: Path) -> None:
    """1, 0 or -1, which is no part of the id."""
    uri = write_voc(tmp_path, {"train": [PERSON, EMPTY]})
    (tmp_path / "VOC2012/ImageSets/Main/train.txt").write_text("person  1\nempty -1\n")
    assert [record.image_id for record in load_dataset(uri).records] == ["person", "empty"]


def test_two_voc_images_of_one_id_are_refused(tmp_path: Path) -> None:
    """Either may be meant."""
    uri = write_voc(tmp_path, {"train": [PERSON]})
    (tmp_path / "VOC2012/JPEGImages/person.jpg").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"person: 2 files fit \(person\.jpg, person\.png\), 1 is allowed"):
        load_dataset(uri)


def test_the_only_yaml_file_of_a_yolo_folder_is_its_description(tmp_path: Path) -> None:
    """Of two the user names one."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "data.yaml").rename(tmp_path / "people.yml")
    assert len(load_dataset(uri)) == 1
    (tmp_path / "other.yaml").write_text("{}")
    with pytest.raises(
        ConfigError, match=r"other\.yaml, people\.yml are there; write yolo:FILE for one of them"
    ):
        load_dataset(uri)


def test_a_class_number_may_be_decimal(tmp_path: Path) -> None:
    """As numpy.savetxt writes it."""
    uri = write_yolo(tmp_path, {"train": [PERSON]})
    (tmp_path / "labels/train/person.txt").write_text("1.0 .5 .5 .2 .2\n1.000e+00 .2 .2 .1 .1\n")
    assert len(load_dataset(uri).records[0].boxes) == 2


def _write_results(root: Path, *results: dict[str, object]) -> str:
    uri = write_coco(root, {"train": [PERSON, EMPTY], "val": [PERSON]})
    (root / "teacher.json").write_text(json.dumps(list(results)))
    return uri


def test_results_of_a_teacher_are_the_boxes_of_train(tmp_path: Path) -> None:
    """From a score on; val keeps its annotations, and other scores are counted."""
    result = {"image_id": 2, "category_id": 8, "bbox": [5, 5, 20, 20]}
    uri = _write_results(tmp_path, {**result, "score": 0.9}, {**result, "score": 0.3})
    uri += "?results=teacher.json"
    train = load_dataset(uri)
    assert [record.boxes.tolist() for record in train.records] == [[], [[5, 5, 25, 25]]]
    assert train.findings.counts == {"score-low": 1}
    assert len(load_dataset(f"{uri},min_score=0.2").records[1].boxes) == 1
    assert load_dataset(uri, "val").records[0].boxes.tolist() == [[10, 8, 30, 40]]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"score": 7}, r"teacher\.json: result 0: score 7 is not from 0 to 1"),
        ({"score": "high"}, r"result 0: score 'high' is no finite number"),
        ({"image_id": 99}, r"result number 0: 99 is missing or unknown"),
    ],
)
def test_a_result_that_cannot_be_used_is_named(
    change: dict[str, object], sentence: str, tmp_path: Path
) -> None:
    """With its file and its place in the list."""
    result = {"image_id": 2, "category_id": 8, "bbox": [5, 5, 20, 20], "score": 0.9, **change}
    with pytest.raises(ConfigError, match=sentence):
        load_dataset(f"{_write_results(tmp_path, result)}?results=teacher.json")

"""Where the test split comes from."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from layouts import EMPTY, LAYOUTS, OTHER, PERSON, DrawnImage, Write, write_coco, write_yolo
from PIL import Image

from mlflow_nas.data import load_held_out, load_splits
from mlflow_nas.errors import ConfigError

MANY = [DrawnImage(f"{number}.png", PERSON.objects) for number in range(40)]


def _ids(records: Sequence[object]) -> set[str]:
    return {record.image_id for record in records}  # type: ignore[attr-defined]  # records of a data set


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_data_set_brings_its_own_test_split_or_none(write: Write, tmp_path: Path) -> None:
    """test.json, test.txt or the key `test` of data.yaml."""
    splits = {"train": [OTHER], "val": [PERSON, EMPTY]}
    assert load_splits(write(tmp_path / "two", splits), ("person",)).test is None
    third = write(tmp_path / "three", {**splits, "test": [MANY[1], MANY[2], MANY[0]]})
    _, val, test = load_splits(third, ("person",))
    assert test is not None
    assert (len(val), len(test)) == (2, 3)


def test_a_share_of_val_by_the_images_content(tmp_path: Path) -> None:
    """Disjoint, complete, the same in another order and under other names, and larger for a larger share."""
    uri = write_coco(tmp_path / "a", {"train": [PERSON], "val": MANY})
    val, test = load_held_out(uri, ("person",), test_fraction=0.3)
    assert test is not None
    assert len(val) + len(test) == 40
    assert 4 <= len(test) <= 20
    assert not _ids(val.records) & _ids(test.records)
    backwards = write_coco(tmp_path / "b", {"train": [PERSON], "val": MANY[::-1]})
    _, again = load_held_out(backwards, ("person",), test_fraction=0.3)
    _, more = load_held_out(uri, ("person",), test_fraction=0.6)
    assert again is not None
    assert more is not None
    assert _ids(again.records) == _ids(test.records) < _ids(more.records)


def test_a_test_split_without_annotations_is_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As COCO publishes its own: it could not be measured, and stands in nobody's way."""
    uri = write_coco(tmp_path, {"train": [OTHER], "val": [PERSON, MANY[0]], "test": [EMPTY]})
    assert load_splits(uri, ("person",)).test is None
    assert "No test split is measured: " in caplog.text
    file = tmp_path / "test.json"
    document = json.loads(file.read_text())
    del document["annotations"]
    file.write_text(json.dumps(document))
    assert load_held_out(uri, ("person",))[1] is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_test_split_that_is_not_here_stands_in_nobodys_way(
    layout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Named, but without its annotations or images, as after a download of the rest."""
    uri = LAYOUTS[layout](tmp_path, {"train": [OTHER], "val": [PERSON], "test": [MANY[0]]})
    name = Path(MANY[0].name).stem
    gone = {"coco": f"**/{name}.png", "voc": f"**/{name}.xml", "yolo": "**/test*"}[layout]
    for path in list(tmp_path.glob(gone)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if layout == "coco":
        document = json.loads((tmp_path / "test.json").read_text())
        (tmp_path / "test.json").write_text(json.dumps({**document, "annotations": []}))
    assert load_splits(uri, ("person",)).test is None
    assert "No test split is measured: " in caplog.text


def test_images_in_two_splits_are_refused(tmp_path: Path) -> None:
    """By their content; mAP would be measured on images of the training."""
    uri = write_coco(tmp_path, {"train": [PERSON, OTHER], "val": [PERSON, EMPTY]})
    with pytest.raises(
        ConfigError, match=r"1 images are in two splits.*\(person\.png of val and person\.png of train\)"
    ):
        load_splits(uri, ("person",))
    assert len(load_held_out(uri, ("person",))[0]) == 2


def test_few_images_in_two_splits_are_a_warning(tmp_path: Path) -> None:
    """Of more than a hundred one changes little."""
    drawn = [DrawnImage(f"few {number}.png", PERSON.objects, (40, 40)) for number in range(101)]
    val = load_splits(write_coco(tmp_path, {"train": drawn[:1], "val": drawn}), ("person",)).val
    assert val.findings.counts == {"splits-share-few": 1}


def test_images_that_look_like_those_of_another_split_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Saved again they are other bytes; a plain image looks like nothing."""
    rng = np.random.default_rng(0)
    scene = Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((320, 240))
    drawn = [
        DrawnImage(f"{number}.jpg", PERSON.objects, (320, 240), scene, {"quality": quality})
        for number, quality in enumerate((95, 60))
    ]
    plain = [
        DrawnImage(f"plain{number}.png", image=Image.new("RGB", (64, 48), (number, 0, 0)))
        for number in (1, 2)
    ]
    splits = {"train": [drawn[0], plain[0]], "val": [drawn[1], plain[1]]}
    findings = load_splits(write_coco(tmp_path, splits), ("person",)).train.findings
    assert findings.counts == {"splits-look-alike": 1}
    assert "1 images look like one of another split (1.jpg of val and 0.jpg of train)" in caplog.text


def test_files_that_no_split_uses_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Labels without an image are a warning: the image may have another name."""
    uri = write_yolo(tmp_path, {"train": [PERSON], "val": [OTHER]})
    for name in ("labels/train/gone.txt", "labels/train/classes.txt"):
        (tmp_path / name).write_text("1 .5 .5 .1 .1\n")
    EMPTY.write(tmp_path / "images")
    assert load_splits(uri, ("person",)).val.findings.counts == {"labels-without-image": 1}
    assert "1 label files belong to no image of any split (train/gone.txt)" in caplog.text
    uri = write_coco(tmp_path / "coco", {"train": [PERSON], "val": [OTHER]})
    EMPTY.write(tmp_path / "coco/images")
    assert load_splits(uri, ("person",)).val.findings.counts == {"image-unlisted": 1}


def test_a_folder_of_labels_without_images_is_noticed(tmp_path: Path) -> None:
    """Such as below a link that a copy has turned into a text file."""
    uri = write_yolo(tmp_path, {"train": [PERSON], "val": [OTHER]})
    for part in ("images", "labels"):
        (tmp_path / part / "val/cam2").mkdir()
    for number in range(2):
        (tmp_path / f"labels/val/cam2/{number}.txt").write_text("1 .5 .5 .1 .1\n")
    EMPTY.write(tmp_path / "images/val/cam2")
    assert load_splits(uri, ("person",)).val.findings.counts == {
        "image-without-labels": 1,
        "labels-without-image": 2,
    }


def test_synthetic_scenes_may_have_a_test_split() -> None:
    """Their own, or a share of val."""
    assert load_held_out("synthetic:val=4,size=64", ("person",))[1] is None
    _, test = load_held_out("synthetic:val=4,test=3,size=64", ("person",))
    assert test is not None
    assert len(test) == 3


def test_a_share_that_cannot_be_taken_is_refused(tmp_path: Path) -> None:
    """Beside a test split, or where a part would have nothing to find."""
    own = write_coco(tmp_path / "own", {"train": [OTHER], "val": [PERSON], "test": [MANY[0]]})
    with pytest.raises(ConfigError, match=r"has a test split of its own, and data\.test_fraction=0\.5"):
        load_held_out(own, ("person",), test_fraction=0.5)
    one = write_coco(tmp_path / "one", {"train": [PERSON], "val": [PERSON]})
    with pytest.raises(
        ConfigError, match=r"data\.test_fraction=0\.5 of 1 images leaves 0 in (val|test): .*no box"
    ):
        load_held_out(one, ("person",), test_fraction=0.5)

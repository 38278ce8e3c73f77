"""Where the test split comes from."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from layouts import EMPTY, LAYOUTS, PERSON, DrawnImage, Write, write_coco

from mlflow_nas.data import load_held_out, load_splits
from mlflow_nas.errors import ConfigError

MANY = [DrawnImage(f"{number}.png", PERSON.objects) for number in range(40)]


def _ids(records: Sequence[object]) -> set[str]:
    return {record.image_id for record in records}  # type: ignore[attr-defined]  # records of a data set


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_data_set_brings_its_own_test_split_or_none(write: Write, tmp_path: Path) -> None:
    """test.json, test.txt or the key `test` of data.yaml."""
    splits = {"train": [PERSON], "val": [PERSON, EMPTY]}
    assert load_splits(write(tmp_path / "two", splits), ("person",)).test is None
    third = write(tmp_path / "three", {**splits, "test": [PERSON, EMPTY, MANY[0]]})
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
    uri = write_coco(tmp_path, {"train": [PERSON], "val": [PERSON, MANY[0]], "test": [EMPTY]})
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
    uri = LAYOUTS[layout](tmp_path, {"train": [PERSON], "val": [PERSON], "test": [MANY[0]]})
    name = Path(MANY[0].name).stem
    gone = {"coco": f"**/{name}.png", "voc": f"**/{name}.xml", "yolo": "**/test*"}[layout]
    for path in list(tmp_path.glob(gone)):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if layout == "coco":
        document = json.loads((tmp_path / "test.json").read_text())
        (tmp_path / "test.json").write_text(json.dumps({**document, "annotations": []}))
    assert load_splits(uri, ("person",)).test is None
    assert "No test split is measured: " in caplog.text


def test_synthetic_scenes_may_have_a_test_split() -> None:
    """Their own, or a share of val."""
    assert load_held_out("synthetic:val=4,size=64", ("person",))[1] is None
    _, test = load_held_out("synthetic:val=4,test=3,size=64", ("person",))
    assert test is not None
    assert len(test) == 3


def test_a_share_that_cannot_be_taken_is_refused(tmp_path: Path) -> None:
    """Beside a test split, or where a part would have nothing to find."""
    own = write_coco(tmp_path / "own", {"train": [PERSON], "val": [PERSON], "test": [PERSON]})
    with pytest.raises(ConfigError, match=r"has a test split of its own, and data\.test_fraction=0\.5"):
        load_held_out(own, ("person",), test_fraction=0.5)
    one = write_coco(tmp_path / "one", {"train": [PERSON], "val": [PERSON]})
    with pytest.raises(
        ConfigError, match=r"data\.test_fraction=0\.5 of 1 images leaves 0 in (val|test): .*no box"
    ):
        load_held_out(one, ("person",), test_fraction=0.5)

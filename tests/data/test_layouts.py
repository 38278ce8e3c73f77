"""What every reader does with the same images and boxes, whatever their layout."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from layouts import EMPTY, LAYOUTS, PERSON, DrawnImage, Write, write_coco, write_voc, write_yolo
from PIL import Image

from mlflow_nas.data import load_dataset
from mlflow_nas.errors import ConfigError

EVERY = pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
KNOWS_IGNORED = pytest.mark.parametrize("write", [write_coco, write_voc])
UPSIDE_DOWN, SIDEWAYS = 3, 6
# What Pillow does to an upright image so that the EXIF orientation turns it back.
STORED = {UPSIDE_DOWN: Image.Transpose.ROTATE_180, SIDEWAYS: Image.Transpose.ROTATE_90}


@EVERY
def test_boxes_classes_and_images_without_objects(write: Write, tmp_path: Path) -> None:
    """Classes are chosen by name and numbered as asked for; images without their boxes stay."""
    both = DrawnImage("both.png", [("dog", (0, 0, 8, 8), False), ("person", (20, 10, 40, 30), False)])
    uri = write(tmp_path, {"train": [PERSON, EMPTY, both]})
    people = {record.image_id: record for record in load_dataset(uri, "train", ("person",)).records}
    assert sorted(len(record.boxes) for record in people.values()) == [0, 1, 1]
    by_name = {Path(name).stem: record for name, record in people.items()}
    np.testing.assert_allclose(by_name["person"].boxes, [[10, 8, 30, 40]], atol=1e-4)
    np.testing.assert_allclose(by_name["both"].boxes, [[20, 10, 40, 30]], atol=1e-4)
    dataset = load_dataset(uri, "train", ("person", "dog"))
    (record,) = [record for record in dataset.records if Path(record.image_id).stem == "both"]
    assert record.labels.tolist() == [1, 0]
    assert not record.ignore.any()
    assert dataset.classes == ("person", "dog")


@KNOWS_IGNORED
def test_difficult_boxes_and_crowds_are_marked_to_be_ignored(write: Write, tmp_path: Path) -> None:
    """They are neither dropped nor to be found; nothing but them is nothing to find."""
    hard = DrawnImage("hard.png", [("person", (1, 1, 9, 9), True), ("person", (10, 10, 30, 30), False)])
    (record,) = load_dataset(write(tmp_path / "some", {"train": [hard]})).records
    assert record.ignore.tolist() == [True, False]
    only = DrawnImage("only.png", [("person", (1, 1, 9, 9), True)])
    with pytest.raises(ConfigError, match=r"no box of person in split 'train', 1 is the least"):
        load_dataset(write(tmp_path / "none", {"train": [only]}))


@EVERY
def test_boxes_beyond_the_image_are_clipped_or_dropped(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One that reaches out is clipped; empty, reversed and outer ones are dropped, counted and named."""
    objects: list[tuple[str, tuple[float, float, float, float], bool]] = [
        ("person", (-10, 30, 20, 60), False),
        ("person", (5, 5, 5, 20), False),
        ("person", (30, 20, 10, 5), False),
        ("person", (100, 100, 120, 120), False),
    ]
    right = DrawnImage(
        "right.png", [("person", (4 * n, 3 * n, 4 * n + 9, 3 * n + 9), False) for n in range(12)]
    )
    uri = write(tmp_path, {"train": [DrawnImage("odd.png", objects), right]})
    with caplog.at_level(logging.WARNING):
        records = {Path(record.image_id).stem: record for record in load_dataset(uri).records}
    np.testing.assert_allclose(records["odd"].boxes, [[0, 30, 20, 48]], atol=1e-4)
    for words in ("2 boxes without an area", "1 boxes outside of their image", "1 boxes that reach out of"):
        assert words in caplog.text
    assert "odd" in caplog.text


def _break(root: Path) -> None:
    """Cut one image in half and remove another."""
    (half,) = root.rglob("half.png")
    half.write_bytes(half.read_bytes()[:400])
    (gone,) = root.rglob("gone.png")
    gone.unlink()


@pytest.mark.parametrize("write", [write_coco, write_voc])
def test_images_that_cannot_be_used_are_named_and_counted(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are refused with the remedy, or skipped with a warning; the digest then is another one."""
    drawn = [PERSON, EMPTY, DrawnImage("half.png"), DrawnImage("gone.png")]
    uri = write(tmp_path, {"train": drawn})
    whole = load_dataset(uri).digest
    _break(tmp_path)
    with pytest.raises(ConfigError, match=r"2 of 4 images can't be used, 0 are allowed") as refused:
        load_dataset(uri)
    for words in ("half.png: not a readable image", ": missing image, named by ", "data.on_bad_image=skip"):
        assert words in str(refused.value)
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(uri, on_bad_image="skip")
    assert "2 images can't be used and are left out" in caplog.text
    assert len(dataset) == 2
    assert [Path(name).stem for name in dataset.skipped] == ["half", "gone"]
    assert dataset.digest != whole


def test_a_truncated_yolo_image_is_skipped(tmp_path: Path) -> None:
    """Its header is well, its pixels are not."""
    uri = write_yolo(tmp_path, {"train": [PERSON, DrawnImage("half.png")]})
    (half,) = tmp_path.rglob("half.png")
    half.write_bytes(half.read_bytes()[:400])
    dataset = load_dataset(uri, on_bad_image="skip")
    assert dataset.skipped == ("images/train/half.png",)


@EVERY
def test_nothing_but_bad_images_is_refused_in_any_case(write: Write, tmp_path: Path) -> None:
    """There is nothing left to skip to."""
    uri = write(tmp_path, {"train": [PERSON]})
    (path,) = tmp_path.rglob("person.png")
    path.write_bytes(b"no image")
    with pytest.raises(ConfigError, match="1 of 1 images can't be used"):
        load_dataset(uri, on_bad_image="skip")


def _rotated(width: int, height: int, orientation: int = SIDEWAYS) -> DrawnImage:
    """An image stored turned: upright it is `width` x `height`, its left half white."""
    upright = Image.new("RGB", (width, height), "black")
    upright.paste("white", (0, 0, width // 2, height))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = upright.transpose(STORED[orientation])
    box = (0.0, 0.0, width / 2, float(height))
    return DrawnImage("turned.jpg", [("person", box, False)], (width, height), stored, {"exif": exif})


@EVERY
def test_exif_rotation_is_applied_where_boxes_were_drawn_on_the_upright_image(
    write: Write, tmp_path: Path
) -> None:
    """The annotated size says so, or the layout always means the upright image: the box frames the white."""
    (sample,) = load_dataset(write(tmp_path, {"train": [_rotated(40, 64)]}))
    assert sample.image.shape == (64, 40, 3)
    np.testing.assert_allclose(sample.boxes, [[0, 0, 20, 64]], atol=1e-4)
    assert sample.image[:, :16].min() > 200
    assert sample.image[:, 24:].max() < 50


@KNOWS_IGNORED
def test_exif_rotation_is_left_alone_where_boxes_were_drawn_on_the_stored_pixels(
    write: Write, tmp_path: Path
) -> None:
    """The annotated size is that of the stored image."""
    drawn_image = _rotated(40, 64)
    drawn_image.size = (64, 40)
    drawn_image.objects = [("person", (0, 20, 64, 40), False)]
    (sample,) = load_dataset(write(tmp_path, {"train": [drawn_image]}))
    assert sample.image.shape == (40, 64, 3)
    assert sample.image[24:].min() > 200


def test_a_yolo_image_stored_upside_down_is_turned(tmp_path: Path) -> None:
    """Its labels mean the upright image, though its size does not tell: the box frames the white."""
    (sample,) = load_dataset(write_yolo(tmp_path, {"train": [_rotated(40, 64, UPSIDE_DOWN)]}))
    assert sample.image.shape == (64, 40, 3)
    np.testing.assert_allclose(sample.boxes, [[0, 0, 20, 64]], atol=1e-4)
    assert sample.image[:, :16].min() > 200
    assert sample.image[:, 24:].max() < 50


@KNOWS_IGNORED
def test_an_image_stored_upside_down_stays_so_where_its_size_is_annotated(
    write: Write, tmp_path: Path
) -> None:
    """The size is the same either way, and does not say that boxes were drawn on the upright image."""
    (sample,) = load_dataset(write(tmp_path, {"train": [_rotated(40, 64, UPSIDE_DOWN)]}))
    assert sample.image.shape == (64, 40, 3)
    np.testing.assert_allclose(sample.boxes, [[0, 0, 20, 64]], atol=1e-4)
    assert sample.image[:, :16].max() < 50
    assert sample.image[:, 24:].min() > 200


@KNOWS_IGNORED
def test_another_size_than_annotated_is_refused(write: Write, tmp_path: Path) -> None:
    """The boxes belong to another image."""
    drawn_image = DrawnImage("person.png", PERSON.objects, image=Image.new("RGB", (50, 50)))
    with pytest.raises(
        ConfigError, match=r"the image has 50x50 pixels, .* says 64x48; correct the annotation"
    ):
        load_dataset(write(tmp_path, {"train": [drawn_image]}))


@EVERY
def test_the_digest_is_of_the_content(write: Write, tmp_path: Path) -> None:
    """A copy elsewhere has the same; another box or pixel has another one."""
    first = load_dataset(write(tmp_path / "a", {"train": [PERSON, EMPTY]}))
    copy = shutil.copytree(tmp_path / "a", tmp_path / "elsewhere/b")
    assert load_dataset(f"{first.uri.partition(':')[0]}:{copy}").digest == first.digest
    moved = DrawnImage("person.png", [("person", (11, 8, 30, 40), False)])
    painted = DrawnImage("person.png", PERSON.objects, image=Image.new("RGB", (64, 48)))
    digests = {
        load_dataset(write(tmp_path / str(number), {"train": [drawn_image, EMPTY]})).digest
        for number, drawn_image in enumerate((moved, painted))
    }
    assert len(digests | {first.digest}) == 3


@EVERY
def test_an_unknown_class_is_named_with_those_there_are(write: Write, tmp_path: Path) -> None:
    """And with the nearest."""
    both = DrawnImage("both.png", [("dog", (0, 0, 8, 8), False), ("person", (20, 10, 40, 30), False)])
    with pytest.raises(
        ConfigError, match=r"unknown class 'persons'; did you mean 'person'\? choose from: dog"
    ):
        load_dataset(write(tmp_path, {"train": [both]}), "train", ("persons",))


@EVERY
def test_a_split_without_images_or_file_is_named(write: Write, tmp_path: Path) -> None:
    """The sentence says which file is looked for."""
    uri = write(tmp_path, {"train": [PERSON], "val": []})
    with pytest.raises(ConfigError, match="names 0 images, 1 is the least"):
        load_dataset(uri, "val")
    with pytest.raises(ConfigError, match=r"missing|has no test"):
        load_dataset(uri, "test")


def test_a_class_may_be_missing_from_one_split(tmp_path: Path) -> None:
    """VOC's annotations name it in another one; a class that none names is a mistake."""
    dog = DrawnImage("dog.png", [("dog", (2, 2, 20, 20), False)])
    uri = write_voc(tmp_path, {"train": [PERSON, dog], "val": [PERSON]})
    assert load_dataset(uri, "val", ("person", "dog")).classes == ("person", "dog")
    with pytest.raises(ConfigError, match=r"unknown class 'cat'"):
        load_dataset(uri, "val", ("person", "cat"))

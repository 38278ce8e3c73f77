"""Every reader of data takes damaged files, or refuses them in one sentence."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import PERSON, DrawnImage, write_coco, write_voc, write_yolo
from mutations import NASTY, damaged, exchanged, fuzz, one_sentence
from PIL import Image

from mlflow_nas.data import load_dataset, read_image
from mlflow_nas.errors import ConfigError

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning"
)

DOG = DrawnImage(
    "dog.png", [("dog", (4.0, 4.0, 20.0, 20.0), False), ("person", (3.0, 9.0, 30.0, 40.0), True)]
)
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "person.png", "width": 64, "height": 48}],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 8, "bbox": [10, 8, 20, 32], "iscrowd": 0}],
    "categories": [{"id": 7, "name": "dog"}, {"id": 8, "name": "person"}],
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Folder and URI of one data set in each layout."""
    found = {}
    for name, write in {"coco": write_coco, "voc": write_voc, "yolo": write_yolo}.items():
        root = tmp_path_factory.mktemp(name)
        found[name] = root, write(root, {"train": [PERSON, DOG]})
    return found


@fuzz(100)
@given(document=exchanged(COCO))
def test_coco_with_exchanged_values(roots: dict[str, tuple[Path, str]], document: Any) -> None:
    """Any value may be of another type, missing, or endless."""
    root, uri = roots["coco"]
    (root / "val.json").write_text(json.dumps(document))
    one_sentence(lambda: load_dataset(uri, "val"))


@fuzz(60)
@given(content=damaged(json.dumps(COCO).encode()))
def test_coco_with_damaged_bytes(roots: dict[str, tuple[Path, str]], content: bytes) -> None:
    """As after a broken copy."""
    root, uri = roots["coco"]
    (root / "val.json").write_bytes(content)
    one_sentence(lambda: load_dataset(uri, "val"))


RESULT = [{"image_id": 1, "category_id": 8, "bbox": [10, 8, 20, 32], "score": 0.9}]


@fuzz(60)
@given(results=exchanged(RESULT))
def test_results_with_exchanged_values(roots: dict[str, tuple[Path, str]], results: Any) -> None:
    """They come from other programs."""
    root, uri = roots["coco"]
    (root / "teacher.json").write_text(json.dumps(results))
    one_sentence(lambda: load_dataset(f"{uri}?results=teacher.json"))


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("voc", "VOC2012/Annotations/person.xml"),
        ("voc", "VOC2012/ImageSets/Main/train.txt"),
        ("yolo", "data.yaml"),
        ("yolo", "labels/train/person.txt"),
    ],
)
@fuzz(60)
@given(data=st.data())
def test_text_files_with_damaged_bytes(
    layout: str, name: str, roots: dict[str, tuple[Path, str]], data: st.DataObject
) -> None:
    """Annotation files, lists and descriptions."""
    root, uri = roots[layout]
    file = root / name
    whole = file.read_bytes()
    file.write_bytes(data.draw(damaged(whole)))
    try:
        one_sentence(lambda: load_dataset(uri))
    finally:
        file.write_bytes(whole)


@fuzz(80)
@given(row=st.lists(st.sampled_from([*map(str, NASTY), "0", "1", "0.5", "1.0"]), max_size=9).map(" ".join))
def test_yolo_rows_of_anything(roots: dict[str, tuple[Path, str]], row: str) -> None:
    """Words of any kind and number."""
    root, uri = roots["yolo"]
    file = root / "labels/train/person.txt"
    whole = file.read_bytes()
    file.write_bytes(row.encode("utf-8", "surrogatepass"))
    try:
        one_sentence(lambda: load_dataset(uri))
    finally:
        file.write_bytes(whole)


def _encoded(suffix: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, suffix)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "PPM"])
@fuzz(40)
@given(data=st.data())
def test_damaged_images(suffix: str, tmp_path: Path, data: st.DataObject) -> None:
    """Whatever Pillow's decoders raise."""
    path = tmp_path / "image"
    path.write_bytes(data.draw(damaged(_encoded(suffix))))
    one_sentence(lambda: read_image(path))


ENTITIES = "".join(f"<!ENTITY x{n} '&x{n - 1};&x{n - 1};'>" for n in range(1, 31))
BILLION_LAUGHS = f"<!DOCTYPE a [<!ENTITY x0 'ha'>{ENTITIES}]><annotation>&x30;</annotation>"


@pytest.mark.parametrize(
    "content",
    [
        *(
            f'<?xml version="1.0" encoding="{name}"?><annotation/>'
            for name in ("klingon", "rot13", "zlib_codec")
        ),
        BILLION_LAUGHS,
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>',
        "<a>" * 10**5,
        "",
    ],
    ids=["klingon", "rot13", "zlib", "laughs", "external", "deep", "empty"],
)
def test_xml_that_is_made_to_harm(content: str, roots: dict[str, tuple[Path, str]]) -> None:
    """Unknown encodings, expansion, files elsewhere, and depth: the sentence names the file."""
    root, uri = roots["voc"]
    file = root / "VOC2012/Annotations/person.xml"
    whole = file.read_bytes()
    file.write_text(content)
    try:
        with pytest.raises(ConfigError, match=r"person\.xml: malformed \("):
            load_dataset(uri)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[" * 10**5, r"val\.json: not readable as JSON \(nested too deep\)"),
        ('{"images": ' + "9" * 5000 + "}", r"val\.json: not readable as JSON \(Exceeds the limit"),
        (
            json.dumps({**COCO, "images": [{"id": 1, "file_name": "x" * 5000}]}),
            r"x{50}.*: missing image, named by",
        ),
    ],
    ids=["deep", "long number", "long name"],
)
def test_json_that_is_made_to_harm(content: str, sentence: str, roots: dict[str, tuple[Path, str]]) -> None:
    """Depth, numbers and names without an end."""
    root, uri = roots["coco"]
    (root / "val.json").write_text(content)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load_dataset(uri, "val")
    assert len(str(refused.value)) < 1000

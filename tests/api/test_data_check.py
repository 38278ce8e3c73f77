"""`data check`: everything that is found in a data set, as JSON, text and page."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "data"))

from click.testing import CliRunner
from layouts import EMPTY, OTHER, PERSON, DrawnImage, write_coco, write_yolo

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.errors import ConfigError

TWICE = DrawnImage(
    "twice.png", [*PERSON.objects, *PERSON.objects, ("person", (60.0, 40.0, 90.0, 60.0), False)]
)


def test_the_check_lists_findings_of_all_splits(tmp_path: Path) -> None:
    """With severity, count, reason and places; the page has the examples as drawn images."""
    uri = write_yolo(tmp_path, {"train": [TWICE, PERSON], "val": [OTHER, EMPTY]})
    result = api.data_check(data=uri, page=str(tmp_path / "page.html"))
    assert {one["kind"]: one["count"] for one in result.findings} == {
        "box-repeated": 1,
        "box-clipped": 1,
        "image-without-labels": 1,
    }
    assert result.usable
    assert [row["boxes"] for row in result.splits] == [3, 1]
    assert result.missing == {"test": f"{tmp_path}/data.yaml: has no test; name a folder of images there"}
    page = (tmp_path / "page.html").read_text()
    assert page.count("<img src=") == 3
    assert "1 repeated boxes are left out" in page


def test_the_check_shows_all_that_commands_refuse(tmp_path: Path) -> None:
    """Images in two splits, a near class name and an image that can't be used, at once; exit code 2."""
    broken = DrawnImage("broken.png")
    uri = write_coco(tmp_path, {"train": [PERSON, broken], "val": [PERSON]})
    (tmp_path / "images/broken.png").write_bytes(b"no image")
    file = tmp_path / "val.json"
    document = json.loads(file.read_text())
    document["categories"][0]["name"] = "Person"
    document["annotations"].append({**document["annotations"][0], "category_id": 7})
    file.write_text(json.dumps(document))
    shown = CliRunner().invoke(main, ["data", "check", uri])
    assert shown.exit_code == 2
    assert shown.stdout.endswith("Commands refuse this data set.\n")
    as_json = json.loads(CliRunner().invoke(main, ["data", "check", uri, "--json"]).stdout)
    assert {one["kind"] for one in as_json["findings"]} == {
        "splits-share-images",
        "class-near",
        "image-unusable",
    }
    assert not as_json["usable"]


def test_the_check_needs_a_split(tmp_path: Path) -> None:
    """What is missing is one sentence."""
    with pytest.raises(ConfigError, match=r"train\.json: missing; a coco: folder holds images/"):
        api.data_check(data=f"coco:{tmp_path}")


def test_nothing_is_found_in_drawn_scenes() -> None:
    """They are exact."""
    shown = CliRunner().invoke(main, ["data", "check", "synthetic:train=2,val=2,size=64"])
    assert shown.exit_code == 0
    assert "Nothing is left out, repeated or suspicious." in shown.stdout

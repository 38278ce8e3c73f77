"""Images in every form, and the detections of a deployed model."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from PIL import Image

from mlflow_nas.board import DeployedModels
from mlflow_nas.deployments import Options, deploy
from mlflow_nas.deployments.inputs import read_images
from mlflow_nas.errors import ConfigError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG")
    return packed.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The image as a file."""
    path = tmp_path / "photo.png"
    path.write_bytes(_png(PIXELS))
    return path


FORMS: dict[str, Callable[[Path], Any]] = {
    "path": lambda path: path,
    "text of a path": str,
    "bytes": lambda path: path.read_bytes(),
    "base64": lambda path: base64.b64encode(path.read_bytes()).decode(),
    "array": lambda _: PIXELS,
    "wide array": lambda _: PIXELS.astype(np.int64),
    "nested lists": lambda _: PIXELS.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_image(file: Path, form: str) -> None:
    """In a table, a mapping and a list; through JSON if it is serializable."""
    given = FORMS[form](file)
    several: list[Any] = [pd.DataFrame({"image": [given, given]}), {"image": [given, given]}, [given, given]]
    if isinstance(given, str | list):
        several.append(pd.read_json(io.StringIO(json.dumps({"image": [given, given]}))))
    for inputs in several:
        found = read_images(inputs)
        assert len(found) == 2
        assert all(np.array_equal(one, PIXELS) for one in found)


def test_one_image_needs_no_list(file: Path) -> None:
    """A path, an array, and a stack of arrays."""
    assert [len(read_images(one)) for one in (file, str(file), PIXELS, np.stack([PIXELS] * 3))] == [
        1,
        1,
        1,
        3,
    ]


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (pd.DataFrame({"photo": ["a"]}), r"has the columns \['photo'\]: give a column `image`"),
        ([], "has no image: give at least one"),
        (["nowhere.jpg"], "'nowhere.jpg' is neither an image file nor base64"),
        (["bm8gaW1hZ2U="], "8 bytes are no image file: give a JPEG"),
        ([PIXELS / 255], r"is float64\[20, 30, 3\]: give whole numbers 0..255"),
        ([PIXELS[..., :1]], r"is uint8\[20, 30, 1\]: give whole"),
        ([PIXELS.astype(np.int64) + 1], r"give whole numbers 0..255"),
        ([[[[0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]], "rows of an image have different lengths"),
        ([np.zeros((0, 30, 3), np.uint8)], r"is uint8\[0, 30, 3\]"),
    ],
)
def test_invalid_images_are_refused(inputs: Any, sentence: str) -> None:
    """With the found and the wanted form."""
    with pytest.raises(ConfigError, match=sentence):
        read_images(inputs)


def test_boxes_scores_and_classes_of_each_image(client: MlflowClient) -> None:
    """In the image's own pixels; the bright one has detections, the dark one has none."""
    # 0.03, the sum of white's colours / 100, to .6
    deploy(client, "person-detector", device="fake", name="door", options=Options(threshold=0.1))
    images = [np.full((64, 96, 3), 255, np.uint8), np.zeros((32, 48, 3), np.uint8)]
    edge = get_deploy_client("nas-edge://fake")
    bright, dark = edge.predict("door", images)["predictions"]
    assert dark == {"boxes": [], "scores": [], "classes": []}
    assert set(bright["classes"]) == {"person"}
    assert bright["scores"] == pytest.approx([0.03**0.6] * len(bright["scores"]), rel=1e-4)
    assert 48 < max(edge for box in bright["boxes"] for edge in box) <= 96
    with pytest.raises(MlflowException, match="fake has no deployment 'gate': it has door"):
        edge.predict("gate", images)
    with pytest.raises(MlflowException, match="predict needs the deployment"):
        edge.predict(None, images)


def test_many_images_take_few_calls(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process on the device takes seconds to start: it runs on many images, in their order."""
    deploy(client, "person-detector", device="fake", name="door", options=Options(threshold=0.1))
    sizes: list[int] = []
    infer = DeployedModels.infer

    def counted(self: DeployedModels, name: str, images: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(images))
        return infer(self, name, images)

    monkeypatch.setattr(DeployedModels, "infer", counted)
    shades = [np.full((32, 48, 3), 255 if index == 17 else 0, np.uint8) for index in range(18)]
    found = get_deploy_client("nas-edge://fake").predict("door", shades)["predictions"]
    assert sizes == [16, 2]
    assert [bool(one["boxes"]) for one in found] == [False] * 17 + [True]


class _Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    def isatty(self) -> bool:
        """Whether it is one."""
        return True


@pytest.mark.parametrize(
    ("stream", "shown"),
    [(_Terminal, ["open door on fake", "run 1 images on fake"]), (io.StringIO, [])],
)
def test_the_steps_are_shown_on_a_terminal(
    client: MlflowClient,
    monkeypatch: pytest.MonkeyPatch,
    stream: Callable[[], io.StringIO],
    shown: list[str],
) -> None:
    """Somebody waits there; elsewhere nothing is written beside the answer."""
    deploy(client, "person-detector", device="fake", name="door")
    written = stream()
    monkeypatch.setattr("sys.stderr", written)
    get_deploy_client("nas-edge://fake").predict("door", [PIXELS])
    assert written.getvalue().splitlines() == shown

"""deploy/device/detect.py and the program in C++ find what `predict` finds."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from mlflow_nas.board import DeployedModels, FakeBoard
from mlflow_nas.deployments.predict import predict
from mlflow_nas.export.passes import decode_cells
from mlflow_nas.tasks import CLASSIFICATION, image_boxes
from mlflow_nas.types import Device

CPP = Path(__file__).parents[2] / "deploy/device/cpp"
MISSING_SDK = 3
SCRIPT = Path(__file__).parents[2] / "deploy/device/detect.py"
CLASSES = ["person", "car", "dog"]


@pytest.fixture(scope="module")
def detect() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("detect", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Noise of several sizes, as PNG and as PPM."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    paths = [tmp_path / "images" / name for name in ("a.png", "b.ppm", "c.png")]
    for path, size in zip(paths, ((60, 90), (200, 70), (20, 31)), strict=True):
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)
    return paths


def _model(path: Path, seed: int, classes: list[str], *, decoded: bool = False) -> Path:
    """A random detector of 32 x 48 pixels with many overlapping boxes; bytes only, or floats."""
    channels = 5 + (len(classes) if len(classes) > 1 else 0)
    rng = np.random.default_rng(seed)
    weights = helper.make_tensor(
        "w", TensorProto.FLOAT, [channels, 3, 4, 4], rng.normal(0, 0.5, channels * 48)
    )
    nodes = [
        helper.make_node("Conv", ["images", "w"], ["raw"], strides=[4, 4]),
        helper.make_node(
            "Split", ["raw", "parts"], ["objectness", "box", "classes"][: 3 if channels > 5 else 2], axis=1
        ),
        helper.make_node("Sigmoid", ["objectness"], ["certain"]),
        *([helper.make_node("Softmax", ["classes"], ["shares"], axis=1)] if channels > 5 else []),
        helper.make_node(
            "Concat", ["certain", "box", *(["shares"] if channels > 5 else [])], ["found"], axis=1
        ),
    ]
    parts = [1, 4, *([channels - 5] if channels > 5 else [])]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 32, 48])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, channels, 8, 12])],
        [weights, helper.make_tensor("parts", TensorProto.INT64, [len(parts)], parts)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"mlflow_nas.classes": json.dumps(classes)})
    onnx.save(decode_cells(model) if decoded else model, path)
    return path


Deploy = Callable[..., Device]


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    """Deploys a random detector as `door` on a fake device."""

    def make(seed: int, classes: list[str], *, decoded: bool = False) -> Device:
        device = Device(name="fake", transport="fake", directory=str(tmp_path / "device"))
        manifest = {"input_size": [32, 48], "classes": classes}
        model = _model(tmp_path / f"{seed}.onnx", seed, classes, decoded=decoded)
        DeployedModels(FakeBoard(tmp_path / "device")).install("door", model, manifest)
        return device

    return make


@pytest.mark.parametrize("with_pillow", [True, False])
def test_images_are_resized_as_by_pillow(
    detect: ModuleType, with_pillow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit, with and without it: where both sides shrink or grow, or the height shrinks more."""
    if not with_pillow:
        monkeypatch.setattr(detect, "Image", None)
    rng = np.random.default_rng(0)
    for height, width, *size in ((480, 640, 352, 352), (20, 30, 32, 48), (300, 100, 32, 48), (99, 20, 9, 33)):
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        expected = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)
        assert np.array_equal(detect.resize(image, size), np.asarray(expected))


@pytest.mark.parametrize(("classes", "decoded"), [(CLASSES[:1], False), (CLASSES, False), (CLASSES, True)])
def test_it_finds_what_predict_finds(
    tmp_path: Path, images: list[Path], deploy: Deploy, classes: list[str], decoded: bool
) -> None:
    """The same boxes to a thousandth of a pixel, scores and classes, for a folder of images.

    Also of a file that decodes itself.
    """
    expected = predict(deploy(0, classes, decoded=decoded), "door", images)
    assert min(len(one["boxes"]) for one in expected) > 2
    command = [sys.executable, str(SCRIPT), str(tmp_path / "device/deployed/door"), str(tmp_path / "images")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["image"] for one in found] == [str(path) for path in images]
    for one, other in zip(found, expected, strict=True):
        assert one["classes"] == other["classes"]
        np.testing.assert_allclose(one["boxes"], other["boxes"], atol=1e-3)
        np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-6)


def test_boxes_are_suppressed_as_by_predict(detect: ModuleType) -> None:
    """The layout of users' detectors: corners and a score per class."""
    rng = np.random.default_rng(1)
    corners = rng.random((300, 4), np.float32) * 0.4
    output = np.concatenate(
        [corners[:, :2], corners[:, :2] + corners[:, 2:], rng.random((300, 2), np.float32)], 1
    )
    expected = image_boxes(output, (1, 1), score_threshold=0.3)
    boxes, scores, labels = detect.decode(output, 0.3)
    np.testing.assert_allclose(boxes.clip(0, 1), expected.boxes, atol=1e-6)
    np.testing.assert_allclose(scores, expected.scores)
    assert labels.tolist() == expected.labels.tolist()


def test_it_follows_the_active_version(
    detect: ModuleType, tmp_path: Path, images: list[Path], deploy: Deploy
) -> None:
    """The image after a deployment, and after a rollback, is detected with the other file."""
    image = detect.read_image(images[0])
    deploy(0, CLASSES)
    detector = detect.Detector(tmp_path / "device/deployed/door", 0.3)
    first = detector(image)
    device = deploy(1, CLASSES)
    second = detector(image)
    np.testing.assert_allclose(second["boxes"], predict(device, "door", images[0])[0]["boxes"], atol=1e-3)
    DeployedModels(FakeBoard(tmp_path / "device")).rollback("door")
    assert detector(image) == first != second


def _bytes_model(path: Path) -> Path:
    """A detector of bytes [1, 2, 3, 4], whose objectness is the red channel."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "scale"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "w"], ["found"]),
    ]
    weights = helper.make_tensor("w", TensorProto.FLOAT, [5, 4, 1, 1], [1, 0, 0, 0] + [0] * 16)
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [1, 2, 3, 4])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, 5, 2, 3])],
        [weights, helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"mlflow_nas.classes": '["person"]', "mlflow_nas.input": "uint8-nhwc-rgbx"})
    onnx.save(model, path)
    return path


def test_a_file_that_takes_bytes_gets_them(detect: ModuleType, tmp_path: Path) -> None:
    """The contract in the file's metadata: rows of RGB and a fourth byte."""
    _bytes_model(tmp_path / "bytes.onnx")
    image = np.zeros((2, 3, 3), np.uint8)
    image[1, 2, 0] = 255
    found = detect.Detector(tmp_path / "bytes.onnx", 0.3)(image)
    assert (found["scores"], found["classes"]) == ([1.0], ["person"])


def _classifier(path: Path) -> Path:
    """A classifier whose logits are the means of red, green and blue."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 2, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"mlflow_nas.classes": json.dumps(CLASSES)})
    onnx.save(model, path)
    return path


def test_a_classifier_gives_classes(detect: ModuleType, tmp_path: Path) -> None:
    """As `predict` does: the best one, and others from the threshold on."""
    _classifier(tmp_path / "classes.onnx")
    image = np.zeros((2, 3, 3), np.uint8)
    image[..., 1] = 255
    found = detect.Detector(tmp_path / "classes.onnx", 0.3)(image)
    logits = np.array([0, 1, 0], np.float32)
    assert found == CLASSIFICATION.answer(logits, (2, 3), CLASSES, threshold=0.3)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, users_environment: dict[str, str]) -> Path:
    """The detector in C++, built with Debian's headers and the wheel's library."""
    folder = tmp_path_factory.mktemp("cpp")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=users_environment, capture_output=True, text=True, check=False)

    made = run(str(CPP / "sdk"), str(folder / "sdk"), sys.executable)
    if made.returncode == MISSING_SDK and not os.environ.get("CI"):
        pytest.skip(made.stderr.strip().splitlines()[-1])
    assert made.returncode == 0, made.stderr
    configure = ["cmake", "-S", str(CPP), "-B", str(folder), *made.stdout.split()]
    for command in (configure, ["cmake", "--build", str(folder)]):
        done = run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "detect"


def _same(found: list[dict[str, Any]], expected: Sequence[Mapping[str, Any]]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one["classes"] == other["classes"]
        np.testing.assert_allclose(one["boxes"], other["boxes"], atol=1e-3)
        np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-6)


def _run(command: Sequence[str], stdin: bytes = b"") -> list[dict[str, Any]]:
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.services
@pytest.mark.parametrize(("classes", "decoded"), [(CLASSES[:1], False), (CLASSES, False), (CLASSES, True)])
def test_the_program_in_cpp_finds_what_predict_finds(
    program: Path, tmp_path: Path, images: list[Path], deploy: Deploy, classes: list[str], decoded: bool
) -> None:
    """To the pixel: a folder of PNG, JPEG and PPM files, and a stream of P6 images as of a camera."""
    scene = np.random.default_rng(3).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(scene).resize((300, 130)).save(tmp_path / "images/d.jpg")
    paths = [*images, tmp_path / "images/d.jpg"]
    expected = predict(deploy(0, classes, decoded=decoded), "door", paths)
    assert min(len(one["boxes"]) for one in expected) > 2
    door = str(tmp_path / "device/deployed/door")
    found = _run([str(program), door, str(tmp_path / "images")])
    assert [one["image"] for one in found] == [str(path) for path in paths]
    _same(found, expected)
    frame = images[1].read_bytes()
    _same(_run([str(program), door, "-"], frame + frame), [expected[1]] * 2)


@pytest.mark.services
def test_the_program_in_cpp_reads_what_ships(
    program: Path, detect: ModuleType, tmp_path: Path, images: list[Path]
) -> None:
    """Files that take bytes, classifiers, a threshold; a file that is no image is one sentence."""
    for file in (_bytes_model(tmp_path / "bytes.onnx"), _classifier(tmp_path / "classes.onnx")):
        expected = [detect.Detector(file, 0.1)(detect.read_image(path)) for path in images]
        found = _run([str(program), "--threshold", "0.1", str(file), *map(str, images)])
        for one, other in zip(found, expected, strict=True):
            assert one["classes"] == other["classes"]
            assert one.keys() - {"image"} == other.keys()
            np.testing.assert_allclose(one.get("boxes", []), other.get("boxes", []), atol=1e-3)
            np.testing.assert_allclose(one["scores"], other["scores"], atol=1e-6)
    (tmp_path / "no.jpg").write_bytes(b"nothing")
    command = [str(program), str(file), str(tmp_path / "no.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no.jpg can't be read as an image: Not a JPEG file" in done.stderr

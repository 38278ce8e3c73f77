"""A foreign ONNX file as the detector that was given."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from contexts import entries, open_context
from tiny_space import tiny_space
from torch import nn

from mlflow_nas.errors import ConfigError
from mlflow_nas.export import export_onnx, is_quantized, quantize_plain
from mlflow_nas.runtime import OnnxDetector
from mlflow_nas.space import build_detector
from mlflow_nas.tasks import get_task
from mlflow_nas.trial import file_digest, measure_given, open_given_file


def _export(network: nn.Module, path: Path, *, size: int = 96, is_open: bool = False) -> Path:
    """A file as another exporter writes it: without our metadata, its sizes open where that is asked for."""
    export_onnx(network.eval(), path, img_size=(size, size), metadata={})
    model = onnx.load(path)
    del model.metadata_props[:]
    if is_open:
        del model.graph.value_info[:]
        for value in (model.graph.input[0], model.graph.output[0]):
            for place, name in ((0, "n"), (2, "h"), (3, "w")):
                value.type.tensor_type.shape.dim[place].dim_param = (
                    name if name == "n" else f"{value.name}_{name}"
                )
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float file of the tiny detector at 96 px, a size that the space does not have as its baseline."""
    space = tiny_space()
    network = build_detector(space.baseline, num_classes=1, space=space, seed=5)
    return _export(network, tmp_path_factory.mktemp("given") / "mine.onnx")


def _context(folder: Path, file: Path, **changes: object) -> object:
    task = get_task("detection")
    given = open_given_file(file, task=task, classes=("person",))
    return open_context(folder, given=given, reference_ms=4.0, **changes)


def test_a_float_file_is_measured_with_its_plain_int8_file(own_file: Path, tmp_path: Path) -> None:
    """The int8 file is the reference; accuracy and latency of the float file stand beside."""
    result = measure_given(_context(tmp_path, own_file))  # type: ignore[arg-type]  # a StudyContext
    assert (result.key, result.role, result.state, result.error) == (
        "as-given",
        "reference",
        "complete",
        None,
    )
    assert not result.architecture
    steps = {path.split("/")[0] for path in entries(tmp_path)}
    assert {"export", "quantize", "evaluate", "measure", "measure-float"} <= steps
    assert "train" not in steps
    assert result.metrics.keys() >= {"map", "map_fp32", "latency_ms", "latency_ratio_fp32", "board_drift"}
    assert result.metrics["latency_ms_fp32"] == pytest.approx(4.0 * result.metrics["latency_ratio_fp32"])
    assert result.metrics["speedup"] == 1
    assert file_digest(result.artefacts["fp32"]) == file_digest(own_file)
    assert is_quantized(result.artefacts["int8"])
    assert OnnxDetector(result.artefacts["int8"]).img_size == (96, 96)


def test_an_int8_file_that_loses_too_much_is_no_reference(
    own_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The float file is, which is what the user has; a warning says so."""
    context = _context(tmp_path, own_file, max_int8_drop=-1.0)
    result = measure_given(context)  # type: ignore[arg-type]  # a StudyContext
    assert (result.state, set(result.artefacts)) == ("complete", {"fp32", "detections"})
    assert result.metrics["map"] == result.metrics["map_fp32"]
    assert "latency_ms_fp32" not in result.metrics
    assert "more than quantization.max_drop=-1: the float file is the reference" in caplog.text


def test_a_quantized_file_is_measured_as_it_is(own_file: Path, tmp_path: Path) -> None:
    """Byte for byte, and nothing is made of it."""
    images = np.random.default_rng(0).random((2, 3, 96, 96), dtype=np.float32)
    int8 = quantize_plain(own_file, tmp_path / "mine.int8.onnx", calibration=images)
    result = measure_given(_context(tmp_path, int8))  # type: ignore[arg-type]  # a StudyContext
    assert (result.state, set(result.artefacts)) == ("complete", {"int8", "detections"})
    assert file_digest(result.artefacts["int8"]) == file_digest(int8)
    assert "map_fp32" not in result.metrics


def test_a_file_of_open_size_takes_the_size_that_is_said(tmp_path: Path) -> None:
    """The copy that is measured has it fixed; without one the sentence says what to give."""
    space, task = tiny_space(), get_task("detection")
    network = build_detector(space.baseline, num_classes=1, space=space)
    path = _export(network, tmp_path / "open.onnx", is_open=True)
    with pytest.raises(
        ConfigError, match=r"takes images of any size .*of a --reference training\.weights_img_width"
    ):
        open_given_file(path, task=task, classes=("person",))
    given = open_given_file(path, task=task, classes=("person",), img_size=(64, 96))
    result = measure_given(open_context(tmp_path, given=given))
    assert result.error is None
    taken = onnx.load(result.artefacts["fp32"]).graph.input[0].type.tensor_type.shape.dim
    assert [one.dim_value for one in taken] == [1, 3, 64, 96]


@pytest.mark.parametrize(
    ("task", "classes", "sentence"),
    [
        ("classification", ("person",), r"mine\.onnx gives cells, and classification is measured on scores"),
        ("detection", ("cat", "dog"), r"mine\.onnx detects 1 classes, and 'cat' is none of them"),
    ],
)
def test_a_file_of_another_task_or_other_classes_is_refused(
    own_file: Path, task: str, classes: tuple[str, ...], sentence: str
) -> None:
    """Before anything is measured."""
    with pytest.raises(ConfigError, match=sentence):
        open_given_file(own_file, task=get_task(task), classes=classes)

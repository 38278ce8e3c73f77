"""TFLite files as networks: opened, run, described; and the runtime `litert` without its converters."""

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from tflite_samples import write_detector

from mlflow_nas.errors import ConfigError
from mlflow_nas.export import Quantization
from mlflow_nas.runtime import LiteRt, OnnxDetector, converters_folder, host_file
from mlflow_nas.runtime.litert import package_version
from mlflow_nas.types import INT8_NHWC_RGB


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    """A TFLite file with two outputs."""
    return write_detector(tmp_path / "model.tflite")


def test_the_parts_of_the_output_are_dequantized_and_joined(detector: Path) -> None:
    """Floats [n, 5, s, s] of images in 0..1, each part by its own scale."""
    opened = OnnxDetector(detector)
    images = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    pooled = images.reshape(2, 3, 2, 16, 2, 16).mean(axis=(3, 5))
    found = opened(images)
    assert found.shape == (2, 5, 2, 2)
    np.testing.assert_allclose(found, pooled[:, [0, 0, 1, 2, 0]], atol=1.5 / 255)


def test_the_file_says_what_it_takes_and_gives(detector: Path) -> None:
    """Input contract, size, layout, names and metadata, as an ONNX file does."""
    opened = OnnxDetector(detector)
    assert (opened.input, opened.img_size, opened.layout.kind) == (INT8_NHWC_RGB, (32, 32), "cells")
    assert (opened.names, opened.dims) == (("images", "detections"), 4)
    assert opened.metadata["mlflow_nas.classes"] == '["person"]'
    assert [part["name"] for part in opened.tensors["parts"]] == ["objectness", "box"]
    assert opened.tensors["parts"][0]["zero_point"] == -128


def test_the_description_is_an_archive_at_the_end_of_the_file(detector: Path, tmp_path: Path) -> None:
    """Any zip program reads it, and the same description gives the same bytes."""
    with ZipFile(detector) as archive:
        assert archive.namelist() == ["mlflow_nas.json"]
    assert write_detector(tmp_path / "again.tflite").read_bytes() == detector.read_bytes()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """With the name of the runtime that can't read it."""
    broken = tmp_path / "model.tflite"
    broken.write_bytes(b"\x1c\0\0\0TFL3" + b"\0" * 32)
    with pytest.raises(ConfigError, match=r"LiteRT can't read the model file .*model.tflite"):
        OnnxDetector(broken)


def test_the_file_for_processors_is_run_beside_one_for_an_accelerator(tmp_path: Path) -> None:
    """The one that the description names; a file of another format stands for itself."""
    host = write_detector(tmp_path / "host.tflite", size=48)
    compiled = write_detector(tmp_path / "model.tflite", host="host.tflite")
    assert host_file(compiled) == host
    assert host_file(tmp_path / "model.onnx") == tmp_path / "model.onnx"
    assert OnnxDetector(compiled).img_size == (48, 48)


def test_all_operators_are_on_the_processor_or_on_the_delegate(detector: Path) -> None:
    """Three operators, and no share of an NPU, which the device alone could tell."""
    placement = LiteRt().placement(detector)
    assert placement.operators == {"cpu": 3}
    assert placement.metrics == {}


def test_without_the_converters_the_error_has_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is trained: the runtime's identity needs them too."""
    monkeypatch.setenv("MLFLOW_NAS_RUNTIMES", str(tmp_path))
    with pytest.raises(ConfigError, match=r"not installed in .*: run `mlflow_nas runtimes install litert`"):
        LiteRt().identity()


def test_a_broken_environment_is_no_fault_of_the_network(
    tmp_path: Path, small_fp32: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what to remove and which command builds it again."""
    monkeypatch.setenv("MLFLOW_NAS_RUNTIMES", str(tmp_path))
    python = converters_folder() / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho no module >&2\nexit 1\n")
    python.chmod(0o755)
    (converters_folder() / "complete").touch()
    images = np.zeros((1, 3, *OnnxDetector(small_fp32).img_size), np.float32)
    with pytest.raises(ConfigError, match=r"are broken: no module. Remove the folder, then run `mlflow_nas"):
        LiteRt().compile(small_fp32, tmp_path / "model.tflite", calibration=images, choices=Quantization())


def test_a_missing_package_is_named_with_its_extra() -> None:
    """As the command that installs it."""
    with pytest.raises(ConfigError, match=r"no-such-package is not installed: pip install 'mlflow-nas\[e\]'"):
        package_version("no-such-package", extra="e")

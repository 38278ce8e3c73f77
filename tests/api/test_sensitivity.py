"""`sensitivity`: a row per layer, accuracy of the worst, and what is refused."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from mlflow_nas import api
from mlflow_nas.cli import main
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import export_onnx, quantize_int8, random_images

DATA = "synthetic:train=2,val=2,size=64"


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of one class with three layers, untrained."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 1)]
    file = tmp_path_factory.mktemp("detector") / "small.onnx"
    return export_onnx(nn.Sequential(*layers, nn.Sigmoid()).eval(), file, img_size=(64, 64), metadata={})


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_NAS_WORK", str(tmp_path / "work"))


def test_each_layer_has_its_error_and_the_worst_its_accuracy(fp32: Path) -> None:
    """The most sensitive first; accuracy of as many as asked for, of the float file and of all in int8."""
    result = api.sensitivity(onnx=fp32, data=DATA, worst=1, images=2)
    assert {row["layer"] for row in result.layers} == {"0/Conv", "2/Conv", "4/Conv"}
    errors = [row["output_error"] for row in result.layers]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0
    assert [sorted(row.keys() - {"layer", "operator", "output_error"}) for row in result.layers] == [
        ["map", "map_50"],
        [],
        [],
    ]
    assert result.fp32.keys() == result.int8.keys() == {"map", "map_50"}
    assert result.chart.is_file()


def test_the_command_prints_a_table_and_one_object(fp32: Path) -> None:
    """Both have the layers."""
    words = ["sensitivity", "--onnx", str(fp32), "--data", DATA, "--worst", "0", "--images", "1"]
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 0, (shown.output, shown.exception)
    assert "One layer alone in int8, the most sensitive first:" in shown.stdout
    assert "2/Conv" in shown.stdout
    printed = json.loads(CliRunner().invoke(main, [*words, "--json"]).stdout)
    assert len(printed["layers"]) == 3


def test_an_int8_file_has_no_layers_to_analyse(fp32: Path, tmp_path: Path) -> None:
    """The sentence says which file is wanted."""
    int8 = quantize_int8(fp32, tmp_path / "int8.onnx", calibration=random_images(fp32, 1))
    with pytest.raises(ConfigError, match=r"int8\.onnx is quantized already: give the float file"):
        api.sensitivity(onnx=int8, data=DATA)

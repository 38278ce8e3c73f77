"""Networks that plain int8 harms: which layer does it, and what repairs it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from mlflow_nas import api
from mlflow_nas.data import calibration_images, load_dataset
from mlflow_nas.errors import ConfigError
from mlflow_nas.export import (
    Quantization,
    calibrated,
    export_onnx,
    layer_sensitivities,
    quantize_int8,
    repairs,
)
from mlflow_nas.export.bias_correction import correct_biases
from mlflow_nas.export.model_files import read_model
from mlflow_nas.export.sensitivity import outputs_of
from mlflow_nas.space import build_detector, fastestdet_head, load_seed_weights
from mlflow_nas.types import FLOAT_NCHW

FLOATS = Quantization(input=FLOAT_NCHW)
SIZE = (16, 16)


class Chain(nn.Module):
    """Convolutions of which the second reads one channel that is larger than the others by `factor`.

    The third divides by it: in float the network computes the same for every factor.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.wide = nn.Conv2d(8, 8, 1)
        self.narrow = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 1)
        with torch.no_grad():
            self.wide.weight[0] = factor * self.wide.weight[0].abs()  # never cut off by the ReLU
            self.wide.bias[0] = 0  # type: ignore[index]
            self.narrow.weight[:, 0] /= factor

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """[b, 3, h, w] to [b, 4, h, w]."""
        hidden = self.first(images).relu()
        return self.last(self.narrow(self.wide(hidden).relu()).relu())  # type: ignore[no-any-return]


@pytest.fixture
def images() -> NDArray[np.float32]:
    """Eight of them."""
    return np.random.default_rng(0).random((8, 3, *SIZE), dtype=np.float32)


@pytest.fixture
def harmed(tmp_path: Path) -> Path:
    """A float file that plain int8 harms."""
    return export_onnx(Chain(300).eval(), tmp_path / "harmed.onnx", img_size=SIZE, metadata={})


def _error(int8: Path, fp32: Path, images: NDArray[np.float32]) -> float:
    return float(np.abs(outputs_of(read_model(int8), images) - outputs_of(read_model(fp32), images)).mean())


def test_the_layer_whose_channels_differ_is_the_most_sensitive(
    harmed: Path, images: NDArray[np.float32]
) -> None:
    """It is named by its module, and its error is that of the whole network."""
    with calibrated(harmed, images) as model:
        found = {one.layer: one for one in layer_sensitivities(model, images)}
    worst = max(found.values(), key=lambda one: one.output_error)
    assert list(found) == ["first/Conv", "wide/Conv", "narrow/Conv", "last/Conv"]
    assert worst.layer in ("wide/Conv", "narrow/Conv")
    assert worst.operator == "Conv"
    assert worst.output_error > 5 * found["last/Conv"].output_error


def test_repairs_keep_the_worst_layers_in_float(
    harmed: Path, images: NDArray[np.float32], tmp_path: Path
) -> None:
    """Biases first, then one layer more and more; each file is made when it is asked for."""
    plain = _error(
        quantize_int8(harmed, tmp_path / "p.onnx", calibration=images, choices=FLOATS), harmed, images
    )
    errors, floats = [], []
    for repair in repairs(harmed, tmp_path, calibration=images, choices=FLOATS):
        assert not (tmp_path / f"repair-{2 * max(len(repair.in_float), 1)}.onnx").exists()
        errors.append(_error(repair.path, harmed, images))
        floats.append(repair.in_float)
    assert [len(one) for one in floats] == [0, 1, 2, *([] if len(floats[-1]) < 3 else [len(floats[-1])])]
    assert set(floats[2]) == {"wide/Conv", "narrow/Conv"}
    assert errors[2] < plain / 3


def test_corrected_biases_bring_each_channels_mean_back(tmp_path: Path, images: NDArray[np.float32]) -> None:
    """Of the output, compared with the float network's; the given model is not changed."""
    fp32 = export_onnx(Chain(1).eval(), tmp_path / "fp32.onnx", img_size=SIZE, metadata={})
    with calibrated(fp32, images, Quantization(input=FLOAT_NCHW, float_modules=())) as model:
        int8 = model.quantized()
        before = int8.SerializeToString()
        fixed = correct_biases(model.model, int8, images)
        truth = outputs_of(model.model, images)
    assert int8.SerializeToString() == before
    shift = [abs((outputs_of(one, images) - truth).mean(axis=(0, 2, 3))).max() for one in (int8, fixed)]
    assert shift[1] < shift[0] / 2


def test_a_repaired_file_ships_like_any_other(
    harmed: Path, images: NDArray[np.float32], tmp_path: Path
) -> None:
    """It takes bytes, and says that it is int8."""
    repair = next(iter(repairs(harmed, tmp_path, calibration=images)))
    model = onnx.load(repair.path)
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert {one.key: one.value for one in model.metadata_props}["mlflow_nas.precision"] == "int8"


def test_without_images_nothing_is_calibrated(harmed: Path) -> None:
    """One sentence says what is missing."""
    empty = np.zeros((0, 3, *SIZE), np.float32)
    with pytest.raises(ConfigError, match=r"No calibration image for harmed.onnx"), calibrated(harmed, empty):
        pass


def _enlarge_a_channel(network: nn.Module, factor: float) -> None:
    """Multiply one channel between two layers by a factor that the second one divides by."""
    block = network.backbone.stage2[1].branch2  # type: ignore[index, union-attr]
    with torch.no_grad():
        block[1].weight[0] *= factor  # type: ignore[index, operator, union-attr]
        block[1].bias[0] *= factor  # type: ignore[index, operator, union-attr]
        block[3].weight[0] /= factor  # type: ignore[index, operator, union-attr]


@pytest.mark.slow
def test_a_detector_that_int8_harms_is_repaired(
    penn_fudan: Path, fastestdet_weights: Path, tmp_path: Path
) -> None:
    """The published one with one channel 1,000 times as large: plain int8 loses more than .02 mAP."""
    network = build_detector(fastestdet_head().baseline, num_classes=80, seed=0).eval()
    load_seed_weights(fastestdet_weights).fill(network)
    _enlarge_a_channel(network, 1000)
    data = load_dataset(f"coco:{penn_fudan}", "train", ("person",))
    calibration = calibration_images(data, img_size=(320, 320), count=16, seed=0)
    fp32 = export_onnx(network, tmp_path / "fp32.onnx", img_size=(320, 320), metadata={})
    choices = Quantization(float_modules=fastestdet_head().float_modules)

    def accuracy(file: Path) -> float:
        settings = {"data.eval_augmentations": 1, "data": f"coco:{penn_fudan}"}
        return api.evaluate(onnx=file, **settings).metrics["map"]

    in_float = accuracy(fp32)
    plain = quantize_int8(fp32, tmp_path / "int8.onnx", calibration=calibration, choices=choices)
    assert in_float - accuracy(plain) > 0.02
    kept = [
        (len(one.in_float), in_float - accuracy(one.path))
        for one in repairs(fp32, tmp_path, calibration=calibration, choices=choices)
    ]
    assert min(lost for count, lost in kept if count <= 2) < 0.02, kept

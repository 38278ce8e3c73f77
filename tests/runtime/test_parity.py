"""Parity of files: the float one with torch, the int8 one with the float one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from stand_in import StandIn

from mlflow_nas.errors import CandidateError
from mlflow_nas.runtime import OnnxDetector, check_parity, objectness_drift


def test_parity_leaves_the_mode_of_each_module(
    standin: StandIn, small_fp32: Path, small_images: NDArray[np.float32]
) -> None:
    """A network in training is compared as it predicts."""
    standin.train()
    standin.norm.eval()
    assert check_parity(standin, small_fp32, small_images, atol=1e-4) < 1e-4
    assert standin.stem.training
    assert not standin.norm.training


def test_parity_refuses_what_is_not_a_number(
    standin: StandIn, small_fp32: Path, small_images: NDArray[np.float32]
) -> None:
    """NaN is no small difference."""
    torch.nn.init.constant_(standin.head.weight, float("nan"))
    with pytest.raises(CandidateError, match=r"fp32\.onnx differs from torch by nan, at most 1 is allowed"):
        check_parity(standin, small_fp32, small_images, atol=1.0)


def test_drift_is_the_mean_difference_of_objectness(
    small_fp32: Path, small_int8: Path, small_images: NDArray[np.float32]
) -> None:
    """Zero between a file and itself; small and not zero between float and int8."""
    difference = OnnxDetector(small_fp32)(small_images)[:, 0] - OnnxDetector(small_int8)(small_images)[:, 0]
    assert objectness_drift(small_fp32, small_fp32, small_images) == 0
    assert objectness_drift(small_fp32, small_int8, small_images) == pytest.approx(np.abs(difference).mean())
    assert 0 < np.abs(difference).mean() < 0.02

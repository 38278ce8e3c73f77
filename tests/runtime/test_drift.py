"""How far another machine's outputs may be from the host's."""

import numpy as np
import pytest

from mlflow_nas.runtime import allowed_drift, worst_drift


def test_the_tolerance_is_what_quantization_changes() -> None:
    """Per channel; where quantization changes nothing, rounding is still allowed."""
    fp32 = np.zeros((1, 2, 2, 2), np.float32)
    host = fp32 + np.float32([[[[0.5]], [[0.0]]]])
    allowed = allowed_drift(fp32=fp32, int8=host)
    assert allowed.tolist() == [0.5, 0.001]
    device = host + np.float32([[[[0.1]], [[0.0005]]]])
    worst = worst_drift(device=device, host=host, allowed=allowed)
    assert worst == (1, pytest.approx(0.0005), 0.001)
    assert worst.is_allowed


def test_what_is_no_number_is_not_allowed() -> None:
    """A kernel that overflows is found, whatever the other channels do."""
    host = np.zeros((1, 2, 2, 2), np.float32)
    broken = host + np.float32([[[[np.nan]], [[0.0]]]])
    worst = worst_drift(device=broken, host=host, allowed=np.array([0.5, 0.001]))
    assert worst.channel == 0
    assert not worst.is_allowed

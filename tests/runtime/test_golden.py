"""Golden samples: the outputs of the host's file, stored for the device."""

from pathlib import Path

import numpy as np
import pytest

from mlflow_nas.errors import ConfigError
from mlflow_nas.runtime import OnnxDetector, read_golden, write_golden


def test_golden_samples_hold_the_images_in_bytes_and_the_hosts_answers(
    small_int8: Path, small_fp32: Path, tmp_path: Path
) -> None:
    """What is read back is the network's own input and, bit for bit, its output."""
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 48), np.uint8)
    path = write_golden(tmp_path / "golden.npz", small_int8, images, fp32=small_fp32)
    assert np.load(path)["images"].dtype == np.uint8
    golden = read_golden(path)
    assert golden.images == pytest.approx(images / 255, abs=1e-7)
    assert np.array_equal(golden.outputs, OnnxDetector(small_int8)(golden.images))
    difference = OnnxDetector(small_fp32)(golden.images) - golden.outputs
    assert golden.allowed == pytest.approx(np.sqrt((difference**2).mean(axis=(0, 2, 3))).clip(1e-3), rel=1e-5)


def test_a_file_that_holds_no_golden_samples_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """Neither a damaged file nor one of other arrays reaches a device."""
    path = tmp_path / "golden.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ConfigError, match=r"golden.npz can't be read.*Log the model anew"):
        read_golden(path)
    np.savez(path, images=np.zeros((1, 3, 4, 4), np.uint8))
    with pytest.raises(ConfigError, match="can't be read"):
        read_golden(path)
    np.savez(
        path, images=np.zeros((1, 3, 4, 4), np.float32), outputs=np.zeros((1, 5, 1, 1)), allowed=np.ones(5)
    )
    with pytest.raises(ConfigError, match=r"hold images float32\[1, 3, 4, 4\]"):
        read_golden(path)

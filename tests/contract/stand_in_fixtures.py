"""The stand-in detector and its files, as fixtures of the rooms that export and run models."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from stand_in import StandIn, stand_in, stand_in_images, write_stand_in

__all__ = ["small_fp32", "small_images", "small_int8", "standin"]


@pytest.fixture
def standin() -> StandIn:
    """A small detector."""
    return stand_in()


@pytest.fixture(scope="session")
def small_images() -> NDArray[np.float32]:
    """Images of its input size."""
    return stand_in_images()


@pytest.fixture(scope="session")
def small_fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its float file; the int8 file is beside it."""
    return write_stand_in(tmp_path_factory.mktemp("standin"))[0]


@pytest.fixture(scope="session")
def small_int8(small_fp32: Path) -> Path:
    """Its int8 file."""
    return small_fp32.with_name("int8.onnx")

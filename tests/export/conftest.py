from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from stand_in import StandIn, stand_in

from mlflow_nas.export import export_onnx, quantize_int8


@pytest.fixture
def standin() -> StandIn:
    return stand_in()


@pytest.fixture(scope="session")
def small_images() -> NDArray[np.float32]:
    return np.random.default_rng(0).random((4, 3, 32, 48), dtype=np.float32)


@pytest.fixture(scope="session")
def small_fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("standin") / "fp32.onnx"
    return export_onnx(stand_in(), path, img_size=(32, 48), metadata={"mlflow_nas.key": "tiny"})


@pytest.fixture(scope="session")
def small_int8(small_fp32: Path, small_images: NDArray[np.float32]) -> Path:
    return quantize_int8(small_fp32, small_fp32.with_name("int8.onnx"), calibration=small_images)
